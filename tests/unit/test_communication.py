"""The communication matrix, and the firewall rules that Ansible makes of it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GROUPS = {"api", "workspace", "deploy", "runner", "runtime", "forge"}
#: contract, section 1: port and header by which service is called.
HEADERS = {
    "X-DEPLOY-SECRET": 7002,
    "X-Admin-Token": 7002,
    "X-RT-Node-Token": 7002,
    "X-Runner-Token": 7002,
    "X-Gateway-Token": 7002,
    "X-Runtime-Token": 7005,
    "X-Preview-Token": 7003,
}
FLOWS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "inventory/group_vars/all/communication.yml").read_text()
)["communication_flows"]
flow = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow["name"])
INVENTORY = """
[api]
api-01 ansible_host=192.0.2.91
[workspace]
workspace-01 ansible_host=192.0.2.87
[deploy]
deploy-01 ansible_host=192.0.2.100
[runner]
runner-01 ansible_host=192.0.2.101
[runtime]
runtime-01 ansible_host=192.0.2.102
runtime-02 ansible_host=192.0.2.112
[all:vars]
operator_addresses=["192.0.2.1"]
"""


@flow
def test_flow_is_complete(flow: dict[str, Any]) -> None:
    assert set(flow) == {"name", "from", "to", "port", "protocol", "proof", "paths", "purpose"}
    assert flow["to"] in GROUPS | {"all"}
    assert set(flow["from"]) <= GROUPS | {"operator", "anyone"}
    assert flow["from"]
    assert flow["protocol"] in {"tcp", "udp"}
    assert 0 < flow["port"] < 65536


@pytest.mark.parametrize("header", HEADERS)
def test_edge_takes_no_header_of_the_platform_from_clients(header: str) -> None:
    gateway = yaml.safe_load((ROOT / "roles/gateway/vars/main.yml").read_text())
    assert header in gateway["__gateway_stripped_request_headers"]


def test_names_are_unique() -> None:
    names = [flow["name"] for flow in FLOWS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("header", "port"), HEADERS.items())
def test_every_header_of_the_contract_is_a_flow(header: str, port: int) -> None:
    assert [flow["port"] for flow in FLOWS if flow["proof"] == header] == [port]


def test_the_public_reaches_the_edge_only() -> None:
    public = {(flow["to"], flow["port"]) for flow in FLOWS if "anyone" in flow["from"]}
    assert public == {("api", port) for port in (80, 443, 8080, 8443)}


def test_the_database_is_for_deploy_and_operators() -> None:
    callers = {source for flow in FLOWS if flow["port"] == 3306 for source in flow["from"]}
    assert callers == {"deploy", "operator"}


def test_nobody_calls_the_workspace_host_but_the_edge_and_operators() -> None:
    callers = {source for flow in FLOWS if flow["to"] == "workspace" for source in flow["from"]}
    assert callers == {"api", "operator"}


def test_production_is_five_hosts_at_their_addresses() -> None:
    lines = (ROOT / "inventory/hosts.ini").read_text().splitlines()
    found = [
        line.split()[1].removeprefix("ansible_host=") for line in lines if "ansible_host" in line
    ]

    network = ipaddress.ip_network("172.21.138.0/24")
    expected = {network[number].exploded for number in (91, 87, 100, 101, 102)}
    assert len(found) == len(expected)
    assert set(found) == expected


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Ask Ansible itself for each host's rules, of an inventory that has no forge."""
    folder = tmp_path_factory.mktemp("inventory")
    (folder / "hosts.ini").write_text(INVENTORY)
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all").symlink_to(ROOT / "inventory/group_vars/all")
    ansible = Path(sys.executable).parent / "ansible"
    argv = [str(ansible), "all", "-i", str(folder / "hosts.ini"), "--connection", "local"]
    argv += [
        "-m",
        "ansible.builtin.debug",
        "-a",
        "var=base_firewall_rules",
        "--tree",
        str(folder / "out"),
    ]
    subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)
    return {
        path.name: json.loads(path.read_text())["base_firewall_rules"]
        for path in (folder / "out").iterdir()
    }


def open_to(rules: list[dict[str, Any]], port: int) -> set[str]:
    return {source for rule in rules if rule["port"] == port for source in rule["sources"]}


def test_operators_reach_every_host(rules: dict[str, list[dict[str, Any]]]) -> None:
    assert len(rules) == 6
    assert all("192.0.2.1" in open_to(found, 22) for found in rules.values())


def test_rules_name_the_addresses_of_the_groups(rules: dict[str, list[dict[str, Any]]]) -> None:
    assert open_to(rules["api-01"], 3306) == {"192.0.2.100", "192.0.2.1"}
    assert open_to(rules["api-01"], 80) == {"0.0.0.0/0"}
    assert open_to(rules["runtime-02"], 7005) == {"192.0.2.100", "192.0.2.101", "192.0.2.1"}
    assert open_to(rules["workspace-01"], 80) == {"192.0.2.91", "192.0.2.1"}


def test_all_nodes_reach_deploy(rules: dict[str, list[dict[str, Any]]]) -> None:
    (heartbeat,) = [rule for rule in rules["deploy-01"] if rule["name"] == "deploy-heartbeat"]
    assert heartbeat["sources"] == ["192.0.2.102", "192.0.2.112"]


def test_a_host_opens_only_what_the_matrix_says(rules: dict[str, list[dict[str, Any]]]) -> None:
    ports = {host: {rule["port"] for rule in found} for host, found in rules.items()}
    assert ports == {
        "api-01": {22, 80, 443, 3306, 7003, 8080, 8443},
        "workspace-01": {22, 80},
        "deploy-01": {22, 7002},
        "runner-01": {22},
        "runtime-01": {22, 80, 7005},
        "runtime-02": {22, 80, 7005},
    }


def test_runners_fetch_from_no_host_of_the_platform_but_the_forge(tmp_path: Path) -> None:
    ansible = Path(sys.executable).parent / "ansible"
    argv = [str(ansible), "runner-01", "-i", str(ROOT / "inventory/lab.ini")]
    argv += ["--connection", "local", "-m", "ansible.builtin.debug"]
    argv += ["-a", "var=runner_fetch_denied_addresses", "--tree", str(tmp_path)]
    subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)

    found = json.loads((tmp_path / "runner-01").read_text())["runner_fetch_denied_addresses"]

    network = ipaddress.ip_network("198.18.138.0/24")
    assert found == [network[number].exploded for number in (91, 87, 100, 101, 102)]
