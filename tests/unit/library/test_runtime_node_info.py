"""``library/runtime_node_info.py`` against a Deploy that lives in lists."""

from __future__ import annotations

import json

import pytest
import runtime_node_info
from ansible.module_utils.deploy_client import DeployError, Node, NodeRecord
from ansible.module_utils.testing import patch_module_args


def record(node_id: int, name: str) -> NodeRecord:
    node = Node(name, f"http://{name}:7005", f"http://{name}")
    return NodeRecord(node_id, node, "HEALTHY", "2026-01-01T00:00:00Z", 62.5, 4)


class FakeDeploy:
    """Two nodes; the second holds two apps."""

    def list_nodes(self) -> list[NodeRecord]:
        return [record(1, "runtime-01"), record(2, "runtime-02")]

    def get_placements(self, node_id: int) -> list[str]:
        return {2: ["app-17", "app-23"]}.get(node_id, [])


def test_named_node_comes_with_its_placements() -> None:
    result = runtime_node_info.read(FakeDeploy(), "runtime-02")

    assert [node["name"] for node in result["nodes"]] == ["runtime-02"]
    assert result["nodes"][0]["health"] == "HEALTHY"
    assert result["placements"] == ["app-17", "app-23"]
    assert not result["changed"]


def test_unknown_node_is_an_empty_answer() -> None:
    result = runtime_node_info.read(FakeDeploy(), "runtime-99")

    assert result == {"changed": False, "nodes": [], "placements": []}


def test_no_name_reads_every_node() -> None:
    result = runtime_node_info.read(FakeDeploy(), None)

    assert [node["node_id"] for node in result["nodes"]] == [1, 2]
    assert "placements" not in result


def test_failure_names_the_node_and_hides_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object) -> list[NodeRecord]:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("runtime_node_info.DeployClient.list_nodes", refuse)
    args = {"name": "runtime-01", "deploy_url": "http://192.0.2.10:7002", "admin_token": "s3cr3t"}

    with patch_module_args(args), pytest.raises(SystemExit):
        runtime_node_info.main()

    printed = capsys.readouterr().out
    assert "Could not read runtime node 'runtime-01'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
