"""Role ``workspace``: the login to the registry, in a file that is root's own."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.role_run import complaint, named, run, tasks_of

if TYPE_CHECKING:
    from pathlib import Path

OURS = {"auth": base64.b64encode(b"pull:unit-only").decode()}
OTHER = {"auth": "b3RoZXI6cGFzc3dvcmQ="}
#: What root's file says before, None where there is none, and what it says after.
FILES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "none": (None, {"auths": {"registry.example.org": OURS}}),
    "empty": ("", {"auths": {"registry.example.org": OURS}}),
    "other-login-and-settings": (
        json.dumps({"auths": {"other.example.org": OTHER}, "proxies": {"default": {}}}),
        {
            "auths": {"other.example.org": OTHER, "registry.example.org": OURS},
            "proxies": {"default": {}},
        },
    ),
    "former-password": (
        json.dumps({"auths": {"registry.example.org": {"identitytoken": "former"}}}),
        {"auths": {"registry.example.org": OURS}},
    ),
    "logged-out": ('{"auths": null}', {"auths": {"registry.example.org": OURS}}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logins")


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[dict[str, dict[str, Any]]]:
    """Run the tasks twice."""
    for name, (before, _) in FILES.items():
        if before is not None:
            (folder / f"{name}.config").write_text(before)
    cases = {
        name: {
            "__workspace_engine_accounts": str(folder / f"{name}.config"),
            "__workspace_predictable": True,
            "workspace_registry": "registry.example.org",
            "workspace_registry_user": "pull",
            "workspace_registry_password": "unit-only",
        }
        for name in FILES
    }
    tasks = named(tasks_of("workspace", "configure"), "the engine's logins", "Log the engine in")
    for owned in tasks:
        for module in owned.values():
            if isinstance(module, dict):
                module.pop("owner", None)
                module.pop("group", None)
    return [run(folder, "workspace", tasks, cases) for _ in range(2)]


@pytest.mark.parametrize("case", FILES)
def test_login_is_added_and_all_else_stays(
    folder: Path, runs: list[dict[str, dict[str, Any]]], case: str
) -> None:
    assert complaint(runs[0][case]) == ""
    assert json.loads((folder / f"{case}.config").read_text()) == FILES[case][1]


@pytest.mark.parametrize("case", FILES)
def test_second_run_changes_nothing(runs: list[dict[str, dict[str, Any]]], case: str) -> None:
    first, second = (found[case]["configure | Log the engine in to the registry"] for found in runs)

    assert first["changed"]
    assert not second["changed"]
