"""``library/current_service.py`` on real files, with systemd and /proc played."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import current_service
import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

NAME = "demo.service"
PID = 100
MINUTE = 60.0


class Systemd:
    """Plays ``systemctl`` for one unit; a restart gives it a process of this moment."""

    def __init__(self, started: float, **said: str) -> None:
        self.runs: list[list[str]] = []
        self.said = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "MainPID": str(PID),
            "ExecMainStartTimestamp": stamp(started),
            "ActiveEnterTimestamp": stamp(started),
            "StateChangeTimestamp": stamp(started),
            "ReloadResult": "success",
            "NeedDaemonReload": "no",
            **said,
        }
        self.reloading = 0
        self.failing = ""

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        command = argv[1]
        if command == self.failing:
            return 1, "Job failed."
        if command == "show":
            assert "--timestamp=us+utc" in argv
            state = "reloading" if self.reloading else self.said["ActiveState"]
            self.reloading = max(0, self.reloading - 1)
            said = {**self.said, "ActiveState": state}
            return 0, "".join(f"{name}={value}\n" for name, value in said.items())
        self.runs.append(argv[1:])
        if command == "daemon-reload":
            self.said["NeedDaemonReload"] = "no"
        if command == "restart":
            self.said["ExecMainStartTimestamp"] = stamp(time.time())
        if command in {"restart", "reload"}:
            self.said["StateChangeTimestamp"] = stamp(time.time())
        return 0, ""


class Host:
    """Files, a folder that plays /proc, and what was warned of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.warnings: list[str] = []

    def file(self, name: str) -> str:
        path = self.folder / name
        path.write_text("x")
        return str(path)

    def process(self, pid: int, parent: int, started: float) -> None:
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        ticks = int((started - booted) * os.sysconf("SC_CLK_TCK"))
        fields = ["S", str(parent), *["0"] * 17, str(ticks), "0"]
        (self.proc / str(pid)).mkdir(exist_ok=True)
        (self.proc / str(pid) / "stat").write_text(f"{pid} (odd) name) {' '.join(fields)}\n")

    def run(self, systemd: Systemd, *, check_mode: bool = False, **given: Any) -> dict[str, Any]:
        options = {"files": [], "reload_files": [], "reload_seen_by": "workers"}
        params = {"name": NAME, **options, **given}
        return current_service.converge(
            params, systemd, self.warnings.append, check_mode=check_mode, proc=self.proc
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")


def earlier() -> float:
    return time.time() - MINUTE


def later() -> float:
    return time.time() + MINUTE


def test_service_older_than_a_file_is_restarted_once(host: Host) -> None:
    changed, unchanged = host.file("changed.env"), host.file("gone.env")
    Path(unchanged).unlink()
    systemd = Systemd(earlier())
    time.sleep(0.05)

    first = host.run(systemd, files=[changed, unchanged])
    second = host.run(systemd, files=[changed, unchanged])

    assert (first["changed"], first["action"], first["newer"]) == (True, "restart", [changed])
    assert first["diff"] == {"before": {"newer": [changed]}, "after": {"newer": []}}
    assert systemd.runs == [["daemon-reload"], ["restart", NAME]]
    assert (second["changed"], second["action"], second["newer"]) == (False, "none", [])


def test_service_newer_than_its_files_is_left_alone(host: Host) -> None:
    systemd = Systemd(later())

    result = host.run(systemd, files=[host.file("a")], reload_files=[host.file("b")])

    assert not result["changed"]
    assert systemd.runs == []


def test_check_mode_predicts_and_does_nothing(host: Host) -> None:
    systemd = Systemd(earlier(), NeedDaemonReload="yes")

    result = host.run(systemd, files=[host.file("a")], check_mode=True)

    assert result["changed"]
    assert systemd.runs == []


def test_link_counts_by_its_own_time(host: Host) -> None:
    target = host.file("venv-1")
    started = later()
    link = host.folder / "venv"
    link.symlink_to(target)
    os.utime(target, (started + MINUTE, started + MINUTE))
    assert not host.run(Systemd(started), files=[str(link)])["changed"]

    fresh = host.folder / ".venv-new"
    fresh.symlink_to(host.file("venv-2"))
    fresh.replace(link)
    assert host.run(Systemd(earlier()), files=[str(link)])["changed"]


def test_file_with_an_old_time_of_content_counts_by_when_it_came(host: Host) -> None:
    path = host.file("a.env")
    os.utime(path, (0, 0))
    assert host.run(Systemd(earlier()), files=[path])["changed"]


def test_same_tick_counts_as_newer(host: Host) -> None:
    path = host.file("a.env")
    started = Path(path).stat().st_ctime + current_service.TICK_SECONDS / 2
    assert host.run(Systemd(started), files=[path])["changed"]


def test_file_of_the_future_is_told_and_restarts_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.file("a.env")
    now = time.time()
    systemd = Systemd(now - 2 * MINUTE)
    monkeypatch.setattr(time, "time", lambda: now - MINUTE)

    assert not host.run(systemd, files=[path])["changed"]
    assert "in the future" in host.warnings[0]


@pytest.mark.parametrize(
    "said",
    [
        {"ActiveState": "inactive", "MainPID": "0"},
        {"ActiveState": "failed", "MainPID": "0"},
        # Between two starts.
        {"ActiveState": "activating", "MainPID": "0"},
        {"ActiveState": "inactive", "MainPID": "0", "LoadState": "not-found"},
        {"ActiveState": "inactive", "MainPID": "0", "ExecMainStartTimestamp": ""},
    ],
)
def test_what_does_not_run_is_left_to_its_start(host: Host, said: dict[str, str]) -> None:
    systemd = Systemd(earlier(), **said)
    result = host.run(systemd, files=[host.file("a")], reload_files=[host.file("b")])

    assert not result["changed"]
    assert systemd.runs == []


def test_what_does_not_run_will_start_with_its_new_definition(host: Host) -> None:
    systemd = Systemd(earlier(), ActiveState="failed", MainPID="0", NeedDaemonReload="yes")

    assert not host.run(systemd)["changed"]
    assert systemd.runs == [["daemon-reload"]]


def test_definition_that_systemd_has_not_read_is_a_reason(host: Host) -> None:
    systemd = Systemd(later(), NeedDaemonReload="yes")

    result = host.run(systemd)

    assert result["newer"] == [current_service.UNREAD]
    assert systemd.runs == [["daemon-reload"], ["restart", NAME]]
    assert not host.run(systemd)["changed"]


def test_socket_counts_by_when_it_began_to_listen(host: Host) -> None:
    path = host.file("a.socket")
    said = {"MainPID": "", "ExecMainStartTimestamp": ""}
    assert host.run(Systemd(earlier(), **said), files=[path])["changed"]
    assert not host.run(Systemd(later(), **said), files=[path])["changed"]


def test_reload_counts_by_the_youngest_worker(host: Host) -> None:
    path = host.file("haproxy.cfg")
    systemd = Systemd(earlier())
    host.process(PID + 1, PID, earlier())
    host.process(PID + 2, PID + 1, later())
    host.process(PID + 3, 1, later())

    result = host.run(systemd, reload_files=[path])

    assert (result["action"], result["newer"]) == ("reload", [path])
    assert systemd.runs == [["reload", NAME]]
    host.process(PID + 4, PID, later())
    assert not host.run(systemd, reload_files=[path])["changed"]


def test_main_process_without_workers_counts_itself(host: Host) -> None:
    path = host.file("a.conf")
    assert host.run(Systemd(earlier()), reload_files=[path])["action"] == "reload"
    assert host.run(Systemd(later()), reload_files=[path])["action"] == "none"


def test_service_without_workers_is_reloaded_once_for_a_file(host: Host) -> None:
    path = host.file("sshd.conf")
    # A session that began after the file came is no sign that the settings were read.
    host.process(PID + 1, PID, later())
    systemd = Systemd(earlier())
    time.sleep(0.05)

    first = host.run(systemd, reload_files=[path], reload_seen_by="unit")
    second = host.run(systemd, reload_files=[path], reload_seen_by="unit")

    assert (first["action"], first["newer"]) == ("reload", [path])
    assert systemd.runs == [["reload", NAME]]
    assert not second["changed"]


def test_reload_that_failed_is_tried_again(host: Host) -> None:
    path = host.file("sshd.conf")
    systemd = Systemd(earlier(), StateChangeTimestamp=stamp(later()), ReloadResult="exit-code")
    assert host.run(systemd, reload_files=[path], reload_seen_by="unit")["action"] == "reload"


def test_unit_without_a_process_is_reloaded_for_a_file(host: Host) -> None:
    path = host.file("nftables.conf")
    said = {"MainPID": "0", "ExecMainStartTimestamp": ""}
    systemd = Systemd(earlier(), **said)
    time.sleep(0.05)

    assert not host.run(systemd, reload_files=[path])["changed"]
    assert host.run(systemd, reload_files=[path], reload_seen_by="unit")["action"] == "reload"
    assert not host.run(systemd, reload_files=[path], reload_seen_by="unit")["changed"]


def test_restart_makes_a_reload_needless(host: Host) -> None:
    systemd = Systemd(earlier())
    host.run(systemd, files=[host.file("a")], reload_files=[host.file("b")])
    assert systemd.runs == [["daemon-reload"], ["restart", NAME]]


def test_reload_under_way_is_waited_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_service, "POLL_SECONDS", 0.01)
    systemd = Systemd(later())
    systemd.reloading = 3
    assert not host.run(systemd, reload_files=[host.file("a")])["changed"]
    assert systemd.reloading == 0


def test_reload_that_does_not_end_is_an_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_service, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(current_service, "RELOAD_SECONDS", 0.05)
    systemd = Systemd(earlier(), ActiveState="reloading")
    with pytest.raises(current_service.UnitError, match=r"journalctl -u demo\.service"):
        host.run(systemd)


def test_failed_restart_is_an_error(host: Host) -> None:
    systemd = Systemd(earlier())
    systemd.failing = "restart"
    with pytest.raises(current_service.UnitError, match=r"restart demo\.service ended with 1: Job"):
        host.run(systemd, files=[host.file("a")])


def test_module_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(AnsibleModule, "run_command", lambda *_: (1, "", "no bus"))

    with patch_module_args({"name": NAME}), pytest.raises(SystemExit):
        current_service.main()

    said = json.loads(capsys.readouterr().out)["msg"]
    assert said.startswith("Could not bring 'demo.service' up to date: systemctl show")
    assert said.endswith("no bus")
