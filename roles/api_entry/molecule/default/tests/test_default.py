"""What the role promises of the API entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

UNIT = "funai-api"
USER = "funai-api"
HOME = "/opt/funai-api"
ETC = "/etc/funai-api"
# systemd-analyze security, in tenths.
MOST_EXPOSURE = 20
# All secrets of this scenario start so.
MARK = "molecule-only-"


def test_service_is_enabled_and_running_as_its_own_user(host: Host) -> None:
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running, host.check_output("journalctl -u %s -n 50 --no-pager", UNIT)
    pid = host.check_output("systemctl show -P MainPID %s", UNIT)
    assert host.check_output("stat -c %%U /proc/%s", pid) == USER
    assert host.user(USER).shell == "/usr/sbin/nologin"


def test_process_has_the_setting_of_a_run_that_broke_off(host: Host) -> None:
    pid = host.check_output("systemctl show -P MainPID %s", UNIT)
    assert "API_THREADS=13" in host.check_output("tr '\\0' '\\n' < /proc/%s/environ", pid)


def test_service_cannot_write_its_code(host: Host) -> None:
    writable = host.check_output(
        "find -L %s -not -type l \\( -perm /022 -o -not -user root \\) -print -quit", HOME
    )
    assert writable == ""


@pytest.mark.parametrize(
    ("name", "mode"), [("api.env", 0o640), ("migrate.env", 0o600), ("first_operator.env", 0o600)]
)
def test_secrets_are_closed_to_others(host: Host, name: str, mode: int) -> None:
    entry = host.file(f"{ETC}/{name}")
    assert (entry.user, entry.group, entry.mode) == ("root", "root", mode)
    assert MARK in entry.content_string


def test_secrets_are_in_no_unit_and_on_no_command_line(host: Host) -> None:
    assert MARK not in host.check_output("systemctl cat %s", UNIT)
    assert MARK not in host.check_output("ps -eo args")
    assert MARK not in host.check_output("journalctl --no-pager -o cat")


def test_exposure_is_low(host: Host) -> None:
    analysis = host.run("systemd-analyze security --threshold=%s %s", str(MOST_EXPOSURE), UNIT)
    assert analysis.rc == 0, analysis.stdout.splitlines()[-1]


def test_pages_and_their_parts_are_installed(host: Host) -> None:
    page = host.check_output("curl -sf http://127.0.0.1:7003/sign-in")
    assert "csrf_token" in page
    chinese = host.check_output("curl -sf -H 'Accept-Language: zh' http://127.0.0.1:7003/sign-in")
    assert "登录" in chinese


def test_service_is_ready_though_deploy_is_not_there(host: Host) -> None:
    assert '"deploy":false' in host.check_output("curl -sf http://127.0.0.1:7003/internal/ready")


def test_one_operator_was_made(host: Host) -> None:
    query = "SELECT CONCAT(name, ' ', role) FROM db_funaistudio.fun_ai_api_account"
    assert host.check_output("mariadb -N -e %s", query) == "admin operator"
