"""``library/runtime_placement.py`` against a Deploy that lives in a dictionary."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runtime_placement
from ansible.module_utils.deploy_client import DeployError, Node, NodeRecord
from ansible.module_utils.testing import patch_module_args


class FakeDeploy:
    """Two nodes; app ``a1`` is on the first."""

    def __init__(self) -> None:
        self.apps = {1: ["a1"], 2: ["a2"]}
        self.writes: list[str] = []

    def list_nodes(self) -> list[NodeRecord]:
        names = {1: "runtime-01", 2: "runtime-02"}
        return [
            NodeRecord(
                number,
                Node(name, f"http://{name}:7005", f"http://{name}"),
                "HEALTHY",
                None,
                None,
                None,
            )
            for number, name in names.items()
        ]

    def get_placements(self, node_id: int) -> list[str]:
        return self.apps[node_id]

    def place_app(self, app_id: str, node_id: int) -> None:
        self.writes.append(f"place {app_id} on {node_id}")
        for apps in self.apps.values():
            if app_id in apps:
                apps.remove(app_id)
        self.apps[node_id].append(app_id)


def options(**given: Any) -> dict[str, Any]:
    return {"app_id": "a1", "node": "runtime-02", **given}


@pytest.mark.parametrize("check_mode", [False, True])
def test_app_is_placed_once(*, check_mode: bool) -> None:
    deploy = FakeDeploy()

    first = runtime_placement.converge(deploy, options(), check_mode=check_mode)

    assert first["changed"]
    assert first["placement"] == {"app_id": "a1", "node": "runtime-02"}
    assert first["diff"]["before"] == {"app_id": "a1", "node": "runtime-01"}
    assert first["diff"]["after"] == first["placement"]
    assert bool(deploy.writes) is not check_mode
    if not check_mode:
        second = runtime_placement.converge(deploy, options(), check_mode=False)
        assert not second["changed"], "the second run must change nothing"


def test_app_that_is_there_already_stays() -> None:
    deploy = FakeDeploy()

    result = runtime_placement.converge(deploy, options(node="runtime-01"), check_mode=False)

    assert not result["changed"]
    assert deploy.writes == []


def test_app_that_is_placed_nowhere_has_no_node_before() -> None:
    result = runtime_placement.converge(FakeDeploy(), options(app_id="a3"), check_mode=False)

    assert result["changed"]
    assert result["diff"]["before"] == {"app_id": "a3", "node": None}


def test_unknown_node_is_refused() -> None:
    with pytest.raises(DeployError, match="knows no node 'runtime-99'"):
        runtime_placement.converge(FakeDeploy(), options(node="runtime-99"), check_mode=False)


def test_failure_names_the_app_and_hides_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, name: str) -> NodeRecord:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("runtime_placement.DeployClient.get_node", refuse)
    args = {**options(), "deploy_url": "http://192.0.2.10:7002", "admin_token": "s3cr3t"}

    with patch_module_args(args), pytest.raises(SystemExit):
        runtime_placement.main()

    printed = capsys.readouterr().out
    assert "Could not place 'a1' on 'runtime-02'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
