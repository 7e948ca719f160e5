"""What the role promises of the control plane."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

UNIT = "funai-deploy"
USER = "funai-deploy"
PRUNE_UNIT = "funai-deploy-prune.service"
HOME = "/opt/funai-deploy"
ETC = "/etc/funai-deploy"
# systemd-analyze security, in tenths.
MOST_EXPOSURE = 20
# All secrets of this scenario start so.
MARK = "molecule-only-"


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
    ("name", "group", "mode"),
    [
        ("deploy.env", "root", 0o640),
        ("migrate.env", "root", 0o600),
        ("registries.json", USER, 0o640),
        ("webhooks.json", USER, 0o640),
    ],
)
def test_secrets_are_closed_to_others(host: Host, name: str, group: str, mode: int) -> None:
    entry = host.file(f"{ETC}/{name}")
    assert (entry.user, entry.group, entry.mode) == ("root", group, mode)
    assert MARK in entry.content_string


def test_secrets_are_in_no_unit_and_on_no_command_line(host: Host) -> None:
    assert MARK not in host.check_output("systemctl cat %s", UNIT)
    assert MARK not in host.check_output("ps -eo args")
    assert MARK not in host.check_output("journalctl --no-pager -o cat")


def test_webhooks_are_those_that_were_declared(host: Host) -> None:
    found = json.loads(host.file(f"{ETC}/webhooks.json").content_string)
    assert [(hook["name"], hook["events"]) for hook in found] == [
        ("chat", ["job.failed", "node.stale"])
    ]


def test_deploy_read_the_webhooks_and_tries_them(host: Host) -> None:
    admin = "X-Admin-Token: molecule-only-admin-token-0123456789"
    base = "http://127.0.0.1:7002/admin/webhooks"
    host.check_output("curl -sf -X POST -H %s %s", admin, f"{base}/test?name=chat")
    deliveries = f"curl -sf -H '{admin}' {base}/deliveries"
    # Nobody listens there; the answer says so once it was tried.
    said = host.check_output(
        "for _ in $(seq 100); do " + deliveries + " | grep refused && exit; sleep 0.1; done; exit 1"
    )
    assert "no connection: Connection refused" in said
    assert MARK not in said


def test_receivers_may_be_reached_beside_peers(host: Host) -> None:
    allowed = host.check_output("systemctl show -P IPAddressAllow %s", UNIT)
    assert "192.0.2.80/32" in allowed
    assert "192.0.2.91/32" in allowed


def test_exposure_is_low(host: Host) -> None:
    analysis = host.run("systemd-analyze security --threshold=%s %s", str(MOST_EXPOSURE), UNIT)
    assert analysis.rc == 0, analysis.stdout.splitlines()[-1]


def test_limits_are_set(host: Host) -> None:
    limits = host.check_output("systemctl show -p MemoryMax,TasksMax,Restart %s", UNIT)
    assert "infinity" not in limits
    assert "Restart=always" in limits


def test_deploy_is_ready(host: Host) -> None:
    host.check_output("curl -sf http://127.0.0.1:7002/internal/ready")


def test_schema_is_there(host: Host) -> None:
    tables = host.check_output("mariadb -N -e 'SHOW TABLES' db_funaistudio").split()
    assert {"fun_ai_deploy_job", "fun_ai_deploy_runtime_node"} <= set(tables)


def test_runtime_account_cannot_read_the_migration_account(host: Host) -> None:
    assert host.run("runuser -u %s -- cat %s/migrate.env", USER, ETC).rc != 0


def test_prune_is_enabled_on_time(host: Host) -> None:
    timer = host.service("funai-deploy-prune.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_prune_runs_as_the_unit_lets_it(host: Host) -> None:
    host.check_output("systemctl start %s", PRUNE_UNIT)

    said = host.check_output("journalctl --sync && journalctl -u %s -o cat --no-pager", PRUNE_UNIT)
    assert "0 went, 0 stay" in said
    assert MARK not in said


def test_exposure_of_prune_is_low(host: Host) -> None:
    analysis = host.run(
        "systemd-analyze security --threshold=%s %s", str(MOST_EXPOSURE), PRUNE_UNIT
    )
    assert analysis.rc == 0, analysis.stdout.splitlines()[-1]
