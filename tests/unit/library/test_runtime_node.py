"""``library/runtime_node.py`` against a Deploy that lives in a dictionary."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import runtime_node
from ansible.module_utils.deploy_client import DeployError, Node, NodeRecord
from ansible.module_utils.testing import patch_module_args

NODE = Node(
    name="runtime-01",
    agent_base_url="http://192.0.2.21:7005",
    gateway_base_url="http://192.0.2.21",
)


class FakeDeploy:
    """Stands in for ``DeployClient`` and records what was written."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.writes: list[str] = []

    def get_node(self, name: str) -> NodeRecord | None:
        node = self.nodes.get(name)
        return node and NodeRecord(1, node, "HEALTHY", None, None, None)

    def put_node(self, node: Node) -> None:
        self.writes.append(f"put {node.name}")
        self.nodes[node.name] = node


def options(**given: Any) -> dict[str, Any]:
    defaults = {
        "name": NODE.name,
        "state": "present",
        "agent_base_url": NODE.agent_base_url,
        "gateway_base_url": NODE.gateway_base_url,
    }
    return {**defaults, "weight": None, "enabled": None, **given}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("existing", "given", "after"),
    [
        pytest.param([], {}, NODE, id="register"),
        pytest.param([], {"enabled": False}, replace(NODE, enabled=False), id="register disabled"),
        pytest.param([NODE], {"enabled": False}, replace(NODE, enabled=False), id="disable"),
        pytest.param([NODE], {"weight": 7}, replace(NODE, weight=7), id="weigh"),
        pytest.param(
            [NODE],
            {"gateway_base_url": "http://192.0.2.22"},
            replace(NODE, gateway_base_url="http://192.0.2.22"),
            id="move the gateway",
        ),
    ],
)
def test_change(
    existing: list[Node], given: dict[str, Any], after: Node, *, check_mode: bool
) -> None:
    deploy = FakeDeploy(*existing)

    first = runtime_node.converge(deploy, options(**given), check_mode=check_mode)

    assert first["changed"]
    assert first["node"] == asdict(after)
    assert first["diff"]["after"] == asdict(after)
    assert bool(deploy.writes) is not check_mode
    if not check_mode:
        second = runtime_node.converge(deploy, options(**given), check_mode=False)
        assert not second["changed"], "the second run must change nothing"


def test_unset_options_keep_what_deploy_has() -> None:
    disabled = replace(NODE, enabled=False, weight=7)
    deploy = FakeDeploy(disabled)

    result = runtime_node.converge(
        deploy, options(agent_base_url=None, gateway_base_url=None), check_mode=False
    )

    assert not result["changed"]
    assert result["node"] == asdict(disabled)


def test_trailing_slash_of_a_url_is_no_change() -> None:
    deploy = FakeDeploy(NODE)

    result = runtime_node.converge(
        deploy, options(gateway_base_url="http://192.0.2.21/"), check_mode=False
    )

    assert not result["changed"]


def test_new_node_without_urls_is_refused_with_the_options_that_are_missing() -> None:
    deploy = FakeDeploy()

    with pytest.raises(DeployError, match="needs agent_base_url and gateway_base_url"):
        runtime_node.converge(
            deploy, options(agent_base_url=None, gateway_base_url=None), check_mode=False
        )

    assert deploy.writes == []


def test_failure_names_the_node_and_hides_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, name: str) -> NodeRecord:
        raise DeployError("GET http://192.0.2.10:7002/admin answered 503: s3cr3t")

    monkeypatch.setattr("runtime_node.DeployClient.get_node", refuse)
    args = {
        "name": NODE.name,
        "deploy_url": "http://192.0.2.10:7002",
        "admin_token": "s3cr3t",
    }

    with patch_module_args(args), pytest.raises(SystemExit):
        runtime_node.main()

    printed = capsys.readouterr().out
    assert "'runtime-01'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
