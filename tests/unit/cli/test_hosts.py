from __future__ import annotations

from cli import hosts, units
from lab import health

SHOWN = """Id=haproxy.service
ActiveState=active
LoadState=loaded

Id=mariadb.service
ActiveState=inactive
LoadState=not-found

Id=funai-gateway-sync.service
ActiveState=failed
LoadState=loaded

Id=funai-api.service
ActiveState=active
LoadState=loaded

Id=funai-deploy-prune.service
ActiveState=inactive
LoadState=loaded

Id=funai-registry-gc.service
ActiveState=failed
LoadState=loaded

Id=funai-deploy-prune.timer
ActiveState=active
LoadState=loaded

Id=funai-builder@7.service
ActiveState=active
LoadState=loaded"""

DISKS = """Filesystem     1B-blocks        Used   Available Capacity Mounted on
overlay     270553174016 180000000000 15000000000      93% /
/dev/vda    270553174016 180000000001 76240465920      71% /var/lib/docker
/dev/vda    270553174016 180000000001 76240465920      71% /var/lib/containers
"""


def test_units_are_judged_by_whether_the_platform_needs_them() -> None:
    found = hosts.parse_units(SHOWN, ("haproxy", "funai-gateway-sync", "mariadb"))

    assert [(unit.name, unit.state, unit.ok) for unit in found] == [
        ("haproxy", "active", True),
        ("funai-gateway-sync", "failed", False),
        ("mariadb", "not installed", False),
        ("funai-api", "active", True),
        ("funai-registry-gc", "failed", False),
    ]


def test_unit_that_systemd_said_nothing_of_is_not_installed() -> None:
    (unit,) = hosts.parse_units("", ("haproxy",))

    assert not unit.ok
    assert unit.state == "not installed"


def test_each_file_system_counts_once_and_a_full_one_is_not_well() -> None:
    found = hosts.parse_disks(DISKS)

    assert [(disk.mount, disk.ok) for disk in found] == [("/", False), ("/var/lib/docker", True)]


def test_what_a_file_system_keeps_back_counts_neither_as_used_nor_as_free() -> None:
    (disk,) = hosts.parse_disks("/dev/vda 1000 150 90 63% /\n")

    assert disk.ok
    assert disk.free_ratio == 90 / 240


def test_options_of_ssh_are_read_as_ssh_reads_them() -> None:
    text = "-o UserKnownHostsFile=/a/b -oIdentitiesOnly=yes -C -J jump@host -o 'User other' -l late"

    assert hosts.ssh_options(text) == {
        "userknownhostsfile": "/a/b",
        "identitiesonly": "yes",
        "proxyjump": "jump@host",
        "user": "other",
    }


def test_database_of_the_teams_own_is_not_looked_for() -> None:
    assert "mariadb" in units.expected(("api",))
    assert "mariadb" not in units.expected(("api",), frozenset({"mariadb"}))


def test_units_of_several_groups_on_one_host_are_named_once() -> None:
    found = units.expected(("api", "runtime"))

    assert len(found) == len(set(found))
    assert {"mariadb", "funai-runtime-agent"} <= set(found)


def test_whatever_the_lab_looks_at_is_looked_at() -> None:
    for group, named in health.UNITS.items():
        ours = [name for name in named.values() if not name.startswith("funai-")]
        missing = set(ours) - set(units.UNITS[group])
        assert not missing, f"cli/units.py lacks {missing} of group {group}"
