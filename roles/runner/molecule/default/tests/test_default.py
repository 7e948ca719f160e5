"""What the role promises of a runner while there is no Deploy: it waits for it."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

UNIT = "funai-runner"
USER = "funai-runner"
BUILDER = "funai-builder"
HOME = "/opt/funai-runner"
ETC = "/etc/funai-runner"
# systemd-analyze security, in tenths.
MOST_EXPOSURE = 35
# All secrets of this scenario start so.
MARK = "molecule-only-"
BUILD = """
import io, os, tarfile
from funai.builder.client import BuilderClient
from funai.builder.model import BuildRequest

file = io.BytesIO()
with tarfile.open(fileobj=file, mode="w") as tar:
    info = tarfile.TarInfo("Dockerfile")
    text = b"FROM scratch\\nCOPY Dockerfile /\\n"
    info.size = len(text)
    tar.addfile(info, io.BytesIO(text))
client = BuilderClient("/run/funai-builder/build.sock")
with client.build(BuildRequest(id="probe"), [file.getvalue()], str) as result:
    found = sorted(os.listdir(result.spool))
print(*found, open("/var/lib/containers/funai-builder/storage-driver").read())
"""


def test_service_is_enabled_and_running(host: Host) -> None:
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running, host.check_output("journalctl -u %s -n 50 --no-pager", UNIT)


def test_service_runs_as_its_own_user_that_cannot_log_in(host: Host) -> None:
    pid = host.check_output("systemctl show -P MainPID %s", UNIT)
    assert host.check_output("stat -c %%U /proc/%s", pid) == USER
    assert host.user(USER).shell == "/usr/sbin/nologin"


def test_service_cannot_write_its_code(host: Host) -> None:
    writable = host.check_output(
        "find -L %s -not -type l \\( -perm /022 -o -not -user root \\) -print -quit", HOME
    )
    assert writable == ""


def test_code_is_compiled(host: Host) -> None:
    sources = host.check_output("find -L %s/venv/lib -name '*.py' | wc -l", HOME)
    compiled = host.check_output("find -L %s/venv/lib -name '*.pyc' | wc -l", HOME)
    assert int(sources) > 0
    assert sources == compiled


@pytest.mark.parametrize(
    ("path", "group", "secret"),
    [
        (f"{ETC}/runner.env", "root", MARK),
        (f"{ETC}/registry.json", USER, b64encode(b"push:molecul").decode()),
        (f"{ETC}/git.json", USER, MARK),
        (f"{ETC}/git_key", USER, MARK),
        ("/etc/funai-builder/registry.json", BUILDER, b64encode(b"pull:molecul").decode()),
    ],
)
def test_secrets_are_closed_to_others(host: Host, path: str, group: str, secret: str) -> None:
    entry = host.file(path)
    assert (entry.user, entry.group, entry.mode) == ("root", group, 0o640)
    assert secret in entry.content_string


def test_secrets_are_in_no_unit_and_on_no_command_line(host: Host) -> None:
    assert MARK not in host.check_output("systemctl cat %s funai-builder@x.service", UNIT)
    assert MARK not in host.check_output("ps -eo args")
    assert MARK not in host.check_output("journalctl --no-pager -o cat")


@pytest.mark.parametrize("unit", [UNIT, "funai-builder@x.service", "funai-builder-prune.service"])
def test_exposure_is_low(host: Host, unit: str) -> None:
    analysis = host.run("systemd-analyze security --threshold=%s %s", str(MOST_EXPOSURE), unit)
    assert analysis.rc == 0, analysis.stdout.splitlines()[-1]


def test_limits_are_set(host: Host) -> None:
    limits = host.check_output("systemctl show -p MemoryMax,TasksMax,Restart,OOMPolicy %s", UNIT)
    assert "infinity" not in limits
    assert "Restart=always" in limits
    assert "OOMPolicy=continue" in limits


def test_limits_of_a_build_are_set(host: Host) -> None:
    limits = host.check_output(
        "systemctl show -p MemoryMax,TasksMax,CPUQuotaPerSecUSec,RuntimeMaxUSec"
        " funai-builder@x.service"
    )
    assert len(limits.splitlines()) == 4
    assert "infinity" not in limits


@pytest.mark.parametrize("unit", ["funai-builder.socket", "funai-builder-prune.timer"])
def test_builder_listens_and_prunes(host: Host, unit: str) -> None:
    assert host.check_output("systemctl is-enabled %s", unit) == "enabled"
    assert host.check_output("systemctl is-active %s", unit) == "active"


def test_only_the_runner_may_ask_for_builds(host: Host) -> None:
    entry = host.file("/run/funai-builder/build.sock")
    assert entry.is_socket
    assert (entry.user, entry.group, entry.mode) == ("root", USER, 0o660)


def test_builder_is_a_user_of_its_own_with_ids_of_its_own(host: Host) -> None:
    assert host.user(BUILDER).shell == "/usr/sbin/nologin"
    assert host.user(BUILDER).groups == [BUILDER]
    for name in ("/etc/subuid", "/etc/subgid"):
        assert host.file(name).content_string.count(f"{BUILDER}:700000000:65536") == 1


def test_image_is_built_within_the_sandbox(host: Host) -> None:
    built = host.run("runuser -u %s -- %s/venv/bin/python -c %s", USER, HOME, BUILD)
    log = host.check_output("journalctl -u 'funai-builder@*' -n 50 --no-pager -o cat")
    assert built.rc == 0, built.stderr + log
    assert built.stdout.split() == ["blobs", "index.json", "oci-layout", "overlay"]


def test_bundle_of_playbooks_is_there(host: Host) -> None:
    assert host.file(f"{HOME}/bundle/deploy_app.yml").is_file


def test_state_is_its_own(host: Host) -> None:
    state = host.file("/var/lib/funai-runner")
    assert (state.user, state.mode) == (USER, 0o700)
