"""``library/settled_service.py`` with systemd, the service's answers and the clock played."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import settled_service
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "demo.service"
URL = "http://127.0.0.1:1/ready"
RUNNING = {"ActiveState": "active"}
ENDED = {"ActiveState": "failed", "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "2"}
AGAIN = {**ENDED, "ActiveState": "activating", "ExecMainStatus": "1"}
ADVICE = "read `journalctl -u demo.service -n 20`, correct the setting that it names, and run again"


class Systemd:
    """Plays ``systemctl show`` of a unit that goes from one state to the next with each question."""

    def __init__(self, *states: dict[str, str], started: float = 0) -> None:
        self.states = list(states)
        self.started = started
        self.time = 100.0
        self.asked = 0

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        assert argv[:2] == ["systemctl", "show"]
        assert argv[-1] == NAME
        self.asked += 1
        said = {
            "LoadState": "loaded",
            "Result": "success",
            "ExecMainCode": "0",
            "ExecMainStatus": "0",
            "ExecMainStartTimestampMonotonic": str(int(self.started * 1_000_000)),
            **(self.states.pop(0) if len(self.states) > 1 else self.states[0]),
        }
        return 0, "".join(f"{name}={value}\n" for name, value in said.items())

    def rest(self, seconds: float) -> None:
        self.time += seconds

    def settle(self, *answers: str, **given: Any) -> None:
        """Wait; ``answers`` say what is wrong with each answer of the service."""
        left = list(answers)
        params = {"name": NAME, "url": None, "steady_seconds": 5, "timeout_seconds": 30, **given}
        settled_service.settle(
            params, self, lambda _: left.pop(0) if left else "", lambda: self.time, self.rest
        )


@pytest.fixture
def url() -> Iterator[str]:
    """A service that answers 503 with a reason, but for /well."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well = self.path == "/well"
            self.send_response(200 if well else 503)
            self.end_headers()
            self.wfile.write(b'{"message":\n "the database is away"}')

        def log_message(self, *_: Any) -> None:
            """Keep the tests' output to themselves."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_process_that_has_run_for_long_is_not_waited_for() -> None:
    systemd = Systemd(RUNNING, started=10)
    systemd.settle()
    assert (systemd.asked, systemd.time) == (1, 100)


def test_process_that_just_started_is_looked_at_until_it_has_run_for_some_seconds() -> None:
    systemd = Systemd(RUNNING, started=99)
    systemd.settle()
    assert systemd.time == 104


@pytest.mark.parametrize("url", [None, URL])
def test_service_that_ends_after_its_start_is_told_at_once(url: str | None) -> None:
    systemd = Systemd(RUNNING, RUNNING, ENDED, started=99.9)

    with pytest.raises(settled_service.UnsettledError) as told:
        systemd.settle("refused", "refused", "refused", url=url)

    assert str(told.value) == f"demo.service ended with 2: {ADVICE}"
    assert systemd.time == 101


def test_service_that_was_killed_is_told_with_the_signal() -> None:
    systemd = Systemd({**ENDED, "ExecMainCode": "2", "ExecMainStatus": "9", "Result": "oom-kill"})
    with pytest.raises(settled_service.UnsettledError, match=r"ended by signal 9 \(oom-kill\): re"):
        systemd.settle()


def test_service_that_never_ran_is_told() -> None:
    systemd = Systemd({"ActiveState": "inactive"})
    with pytest.raises(settled_service.UnsettledError, match="service does not run: read `journal"):
        systemd.settle()


@pytest.mark.parametrize("url", [None, URL])
def test_service_that_starts_again_each_time_is_told_when_the_time_is_over(url: str | None) -> None:
    # Young whenever it is met running: it is started anew each time.
    systemd = Systemd(*[AGAIN, RUNNING] * 200, started=1000)

    with pytest.raises(settled_service.UnsettledError) as told:
        systemd.settle(*["refused"] * 200, url=url)

    assert str(told.value).startswith("demo.service ")
    assert str(told.value).endswith(ADVICE)
    assert systemd.time == 130


def test_service_between_two_starts_is_said_to_start_again() -> None:
    systemd = Systemd(AGAIN)
    with pytest.raises(settled_service.UnsettledError, match="ended with 1 and is started again"):
        systemd.settle()


def test_service_that_comes_after_some_starts_is_settled() -> None:
    systemd = Systemd(AGAIN, AGAIN, RUNNING)
    systemd.settle("refused", url=URL)
    assert systemd.asked == 4


def test_service_that_answers_is_settled_though_it_just_started() -> None:
    systemd = Systemd(RUNNING, started=100)
    systemd.settle("refused", "refused", url=URL)
    assert systemd.time == 101


def test_reload_under_way_does_not_count_as_an_end() -> None:
    systemd = Systemd({"ActiveState": "reloading"})
    systemd.settle(url=URL)
    assert systemd.asked == 1


def test_service_that_runs_and_does_not_answer_is_told_with_its_answer() -> None:
    systemd = Systemd(RUNNING)
    with pytest.raises(settled_service.UnsettledError) as told:
        systemd.settle(*[f"{URL} answers 503: no database"] * 100, url=URL)
    assert str(told.value) == f"demo.service runs, but {URL} answers 503: no database: {ADVICE}"


def test_unit_that_is_not_there_is_told() -> None:
    systemd = Systemd({"ActiveState": "inactive", "LoadState": "not-found"})
    with pytest.raises(settled_service.UnsettledError, match=r"systemd has no demo\.service: run"):
        systemd.settle()


def test_answer_is_read_past_proxies(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert settled_service.ask(f"{url}/well") == ""


def test_refusal_is_told_in_one_line(url: str) -> None:
    said = settled_service.ask(f"{url}/ready")
    assert said == f'{url}/ready answers 503: {{"message": "the database is away"}}'


def test_service_without_an_answer_is_told_why() -> None:
    assert settled_service.ask(URL).startswith(f"{URL} does not answer: <urlopen error")


def run_module(**arguments: Any) -> None:
    with patch_module_args({"name": NAME, **arguments}), pytest.raises(SystemExit):
        settled_service.main()


def test_module_says_what_failed_and_never_changes_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(AnsibleModule, "run_command", lambda *_: (1, "", "no bus"))

    run_module()
    failed = json.loads(capsys.readouterr().out)
    run_module(_ansible_check_mode=True)
    checked = json.loads(capsys.readouterr().out)

    assert failed["msg"] == "systemctl show demo.service ended with 1: no bus"
    assert checked["changed"] is False
    assert "failed" not in checked


def test_module_waits_for_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    systemd = Systemd(RUNNING)
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _, argv: (*systemd(argv), ""))

    run_module()

    result = json.loads(capsys.readouterr().out)
    assert (result["changed"], result["waited_seconds"]) == (False, 0.0)
