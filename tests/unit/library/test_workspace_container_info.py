"""``library/workspace_container_info.py`` with an engine that lives in dictionaries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import workspace_container_info
from ansible.module_utils.testing import patch_module_args
from ansible.module_utils.workspace_host import PortMap

from tests.unit.library.fake_engine import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    labels = {"io.funai.managed": "true", "io.funai.user": "12"}
    engine.add_foreign("ws-u-12", 20012, Labels=labels)
    engine.add_foreign("ws-u-7", 20007)
    engine.add_foreign("ws-u-7-next", 20008)
    engine.add_foreign("database", 20001)
    return engine


def test_workspaces_are_listed_by_user_with_the_port_that_nginx_asks(
    engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "platform.map").write_text('"12" 20012;\n')

    result = workspace_container_info.read(engine, PortMap(str(tmp_path)), None)

    rows = [(row["name"], row["managed"], row["gateway_port"]) for row in result["workspaces"]]
    assert rows == [("ws-u-7", False, None), ("ws-u-12", True, 20012)]
    assert not result["changed"]


def test_one_user_and_an_unknown_one(engine: FakeEngine) -> None:
    found = workspace_container_info.read(engine, PortMap(""), 12)
    none = workspace_container_info.read(engine, PortMap(""), 99)

    assert [row["host_port"] for row in found["workspaces"]] == [20012]
    assert none["workspaces"] == []


def test_failure_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"engine_socket": str(tmp_path / "none.sock")}

    with patch_module_args(args), pytest.raises(SystemExit):
        workspace_container_info.main()

    said = json.loads(capsys.readouterr().out)["msg"]
    assert said.startswith("Could not read the workspaces: no engine answers at ")
