"""What the role promises of every host."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host


def ruleset(host: Host) -> str:
    return host.check_output("nft list table inet funai")


def test_input_drops_what_nobody_allowed(host: Host) -> None:
    assert "hook input priority filter; policy drop;" in ruleset(host)


@pytest.mark.parametrize(
    "rule",
    [
        'tcp dport 22 accept comment "ssh"',
        'tcp dport 80 accept comment "web"',
    ],
)
def test_allowed_flows_are_let_in(host: Host, rule: str) -> None:
    assert rule in ruleset(host)


def test_ssh_is_open_to_its_sources_only(host: Host) -> None:
    (rule,) = [line for line in ruleset(host).splitlines() if '"ssh"' in line]
    assert "192.0.2.0/24" in rule
    assert "198.51.100.7" in rule


def test_containers_reach_no_platform_host(host: Host) -> None:
    (rule,) = [line for line in ruleset(host).splitlines() if "reach no platform host" in line]
    assert 'iifname "docker0" ip daddr 192.0.2.91' in rule.replace("{ ", "").replace(" }", "")
    assert "drop" in rule


def test_containers_reach_nothing_on_their_host(host: Host) -> None:
    rules = [line.strip() for line in ruleset(host).splitlines()]
    (drop,) = [line for line in rules if "reach nothing on their host" in line]

    assert drop.startswith('iifname "docker0"')
    assert rules.index(drop) < rules.index('iif "lo" accept')


def test_reloading_leaves_other_tables(host: Host) -> None:
    host.check_output("nft add table ip bystander")

    host.check_output("systemctl reload nftables")

    assert "table ip bystander" in host.check_output("nft list tables")


def test_stopping_the_firewall_leaves_other_tables(host: Host) -> None:
    host.check_output("nft add table ip bystander")

    host.check_output("systemctl stop nftables")
    tables = host.check_output("nft list tables")
    host.check_output("systemctl start nftables")

    assert "table ip bystander" in tables
    assert "table inet funai" not in tables
    assert "policy drop" in ruleset(host)


def test_firewall_comes_back_at_boot(host: Host) -> None:
    assert host.service("nftables").is_enabled


@pytest.mark.parametrize(
    "setting",
    [
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin without-password",
        "authenticationmethods publickey",
        "x11forwarding no",
    ],
)
def test_sshd_takes_keys_only(host: Host, setting: str) -> None:
    assert setting in host.check_output("sshd -T").splitlines()


def test_operator_may_become_root(host: Host) -> None:
    assert "NOPASSWD: ALL" in host.check_output("sudo -l -U ada")


def test_cas_that_are_given_are_trusted(host: Host) -> None:
    lines = host.file("/usr/local/share/ca-certificates/molecule.crt").content_string.splitlines()
    assert set(lines) <= set(
        host.file("/etc/ssl/certs/ca-certificates.crt").content_string.splitlines()
    )


def test_journal_is_bounded(host: Host) -> None:
    assert host.file("/etc/systemd/journald.conf.d/funai.conf").contains("SystemMaxUse=500M")


def test_peers_are_known_by_name(host: Host) -> None:
    assert "192.0.2.91" in host.check_output("getent hosts peer-01")


def test_container_has_no_clock_daemon_of_its_own(host: Host) -> None:
    assert not host.package("chrony").is_installed
