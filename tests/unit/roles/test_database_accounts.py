"""Role ``database``: where accounts may come from, and in which servers it can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.role_run import complaint, named, run, tasks_of

if TYPE_CHECKING:
    from pathlib import Path

#: Addresses of an account, and the hosts that MySQL is told; none where the role refuses.
PLACES: dict[str, tuple[list[str], list[str] | None]] = {
    "address": (["192.0.2.7"], ["192.0.2.7"]),
    "network": (["10.1.0.0/16"], ["10.1.0.0/255.255.0.0"]),
    "odd-prefix": (["10.1.2.0/23"], ["10.1.2.0/255.255.254.0"]),
    "bits-of-a-host": (["10.9.8.7/13"], ["10.8.0.0/255.248.0.0"]),
    "network-of-one": (["192.0.2.7/32"], ["192.0.2.7"]),
    "both": (["192.0.2.7", "10.0.0.0/8"], ["192.0.2.7", "10.0.0.0/255.0.0.0"]),
    "nowhere": ([], None),
    "everywhere": (["0.0.0.0/0"], None),
    "prefix-too-long": (["10.0.0.0/33"], None),
    "name": (["db.example.org"], None),
    "pattern": (["10.%"], None),
    "three-octets": (["10.1.2/24"], None),
}
ASKED = "__database_server"
#: What a server says of itself, and whether the role can make accounts in it.
SERVERS = {
    "mysql-8.0": ("8.0.40", [{"status": "ACTIVE"}], True),
    "mariadb": ("10.11.19-MariaDB-0+deb12u1", [{"status": "ACTIVE"}], True),
    "mysql-8.4": ("8.4.3", [{"status": "DISABLED"}], False),
    "mysql-8.4-turned-on": ("8.4.3", [{"status": "ACTIVE"}], True),
    "mysql-9": ("9.1.0", [], False),
}
SHOW = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ __database_users }}"}}


def account(addresses: list[str]) -> dict[str, Any]:
    return {
        "name": "funai_observer",
        "password": "unit-only-0123456789",
        "addresses": addresses,
        "privileges": ["SELECT"],
    }


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    cases = {
        name: {"database_accounts": [account(addresses)]} for name, (addresses, _) in PLACES.items()
    }
    tasks = [*tasks_of("database", "preflight"), SHOW]
    return run(tmp_path_factory.mktemp("placed"), "database", tasks, cases)


@pytest.mark.parametrize("case", PLACES)
def test_account_comes_from_addresses_and_networks(
    placed: dict[str, dict[str, Any]], case: str
) -> None:
    results, (addresses, hosts) = placed[case], PLACES[case]

    if hosts is None:
        assert "funai_observer" in complaint(results)
        assert all(address in complaint(results) for address in addresses)
    else:
        assert complaint(results) == ""
        assert [user["host"] for user in results["Show"]["msg"]] == hosts


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    cases = {
        name: {
            "database_manage": False,
            "database_login_host": "192.0.2.9",
            ASKED: {"query_result": [[{"version": version}], plugins]},
        }
        for name, (version, plugins, _) in SERVERS.items()
    }
    tasks = named(tasks_of("database", "configure"), "takes the accounts' passwords")
    assert len(tasks) == 1
    return run(tmp_path_factory.mktemp("servers"), "database", tasks, cases)


@pytest.mark.parametrize("case", SERVERS)
def test_server_that_cannot_have_the_accounts_is_refused_by_name(
    servers: dict[str, dict[str, Any]], case: str
) -> None:
    version, _, possible = SERVERS[case]
    said = complaint(servers[case])

    if possible:
        assert said == ""
    else:
        assert f"192.0.2.9:3306 is {version} without mysql_native_password" in said
        assert "database_login_user empty" in said


def test_administrator_of_mysql_8_can_log_in(tmp_path: Path) -> None:
    cases = {"existing": {"database_manage": False}, "ours": {"database_manage": True}}
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ __database_packages }}"}}

    found = run(tmp_path, "database", [show], cases)

    assert "python3-cryptography" in found["existing"]["Show"]["msg"]
    assert "mariadb-server" not in found["existing"]["Show"]["msg"]
    assert "mariadb-server" in found["ours"]["Show"]["msg"]
