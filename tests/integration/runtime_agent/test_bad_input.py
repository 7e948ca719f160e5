"""Requests that the agent must refuse, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.runtime_agent.rig import TOKEN, Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = {"userId": "7", "appId": "shop", "image": "registry.test/app:1", "containerPort": 8080}
HEADERS = {"X-Runtime-Token": TOKEN}
ROUTES = [
    ("POST", "/agent/apps/deploy"),
    ("POST", "/agent/apps/stop"),
    ("POST", "/agent/apps/delete"),
    ("GET", "/agent/apps/status?userId=7&appId=shop"),
    ("GET", "/agent/apps/logs?userId=7&appId=shop"),
    ("POST", "/agent/prune"),
    ("GET", "/metrics"),
    ("GET", "/no/such/path"),
]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("appId", None, id="no-app"),
        pytest.param("appId", "", id="empty-app"),
        pytest.param("appId", "../shop", id="app-with-path"),
        pytest.param("appId", "shop\nset map x", id="app-with-newline"),
        pytest.param("appId", "shop;del", id="app-with-semicolon"),
        pytest.param("appId", "a" * 64, id="app-too-long"),
        pytest.param("appId", ["shop"], id="app-is-a-list"),
        pytest.param("appId", True, id="app-is-true"),
        pytest.param("userId", None, id="no-user"),
        pytest.param("userId", "7 8", id="user-with-space"),
        pytest.param("image", None, id="no-image"),
        pytest.param("image", "-v /:/host", id="image-is-an-option"),
        pytest.param("image", "app:1 --privileged", id="image-with-space"),
        pytest.param("image", "http://registry.test/app", id="image-is-a-url"),
        pytest.param("image", "app@sha256:12", id="short-digest"),
        pytest.param("image", "UPPER/case", id="upper-case"),
        pytest.param("image", "a/" * 300 + "b", id="image-too-long"),
        pytest.param("containerPort", 0, id="port-zero"),
        pytest.param("containerPort", 65536, id="port-too-high"),
        pytest.param("containerPort", "80a", id="port-no-number"),
        pytest.param("containerPort", -1, id="port-negative"),
        pytest.param("containerPort", 80.5, id="port-fraction"),
        pytest.param("basePath", "/", id="base-path-root"),
        pytest.param("basePath", "/apps/other", id="base-path-of-another-app"),
        pytest.param("basePath", "/apps/shop/..", id="base-path-dots"),
        pytest.param("fence", -1, id="fence-negative"),
        pytest.param("fence", "new", id="fence-no-number"),
        pytest.param("fence", 2**60, id="fence-too-high"),
        pytest.param("jobId", "a b", id="job-with-space"),
        pytest.param("readySeconds", 0, id="no-time"),
        pytest.param("release", "r1/../r2", id="release-with-slash"),
        pytest.param("release", "r1\nset map x", id="release-with-newline"),
        pytest.param("release", "r" * 65, id="release-too-long"),
        pytest.param("release", "-r1", id="release-is-an-option"),
        pytest.param("release", ["r1"], id="release-is-a-list"),
        pytest.param("healthPath", "health", id="health-without-slash"),
        pytest.param("healthPath", "/a b", id="health-with-space"),
        pytest.param("healthPath", "/a\r\nHost: x", id="health-with-header"),
        pytest.param("healthPath", "/../metrics", id="health-dots"),
        pytest.param("healthPath", "/" + "a" * 256, id="health-too-long"),
    ],
)
def test_bad_field_is_named_with_its_rule(node_of_module: Node, field: str, value: Any) -> None:
    answer = node_of_module.post("/agent/apps/deploy", **{**GOOD, field: value})

    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["reason"] == "INVALID_REQUEST"
    assert body["detail"].startswith(f"{field} must be ")
    assert body["evidence"]["field"] == field


@pytest.mark.parametrize(
    "query", ["appId=../x", "tail=5001", "tail=-1", "tail=all", "follow=perhaps", "userId="]
)
def test_bad_query_of_logs_is_named(node_of_module: Node, query: str) -> None:
    fields = {"userId": "7", "appId": "shop", **dict([query.split("=")])}

    answer = requests.get(
        f"{node_of_module.url}/agent/apps/logs", params=fields, headers=HEADERS, timeout=10
    )

    assert (answer.status_code, answer.json()["reason"]) == (422, "INVALID_REQUEST")
    assert answer.json()["detail"].startswith(f"{query.split('=', maxsplit=1)[0]} must be ")


@pytest.mark.parametrize(
    ("field", "value"), [("keep", 0), ("keep", 101), ("keep", "x"), ("dryRun", "maybe")]
)
def test_bad_request_to_prune_is_named(node_of_module: Node, field: str, value: Any) -> None:
    answer = node_of_module.post("/agent/prune", **{"dryRun": True, field: value})

    assert (answer.status_code, answer.json()["reason"]) == (422, "INVALID_REQUEST")
    assert answer.json()["detail"].startswith(f"{field} must be ")


@pytest.mark.parametrize("base_path", ["", None, "/apps/shop", "/apps/shop/"])
def test_base_path_of_the_app_is_accepted(node_of_module: Node, base_path: str | None) -> None:
    answer = node_of_module.post(
        "/agent/apps/deploy", **{**GOOD, "image": "127.0.0.1:1/none:1", "basePath": base_path}
    )

    assert answer.json()["reason"] == "REGISTRY_UNAVAILABLE"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"{", 422, id="broken"),
        pytest.param(b"[]", 422, id="list"),
        pytest.param(b'{"appId": "' + b"a" * 2_000_000 + b'"}', 413, id="oversized"),
    ],
)
def test_body_that_is_no_object_is_refused(node_of_module: Node, body: bytes, status: int) -> None:
    answer = requests.post(
        f"{node_of_module.url}/agent/apps/deploy", data=body, headers=HEADERS, timeout=10
    )

    assert answer.status_code == status


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", "\xe9"])
def test_wrong_or_missing_token_is_refused(
    node_of_module: Node, method: str, path: str, token: str | None
) -> None:
    headers = {} if token is None else {"X-Runtime-Token": token}

    answer = requests.request(
        method, f"{node_of_module.url}{path}", json=GOOD, headers=headers, timeout=10
    )

    assert (answer.status_code, answer.json()["reason"]) == (401, "UNAUTHORIZED")


def test_health_needs_no_token(node_of_module: Node) -> None:
    assert node_of_module.health()["ok"] is True


def test_h2c_upgrade_headers_are_ignored(
    node_of_module: Node, app_image: Callable[[str], str]
) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMA"}

    answer = requests.post(
        f"{node_of_module.url}/agent/apps/stop",
        json={"userId": 7, "appId": "nobody"},
        headers={**HEADERS, **upgrade},
        timeout=10,
    )

    assert answer.json()["status"] == "STOPPED"
    assert answer.json()["exists"] is False


@pytest.mark.parametrize("token", ["", "CHANGE_ME_please_now", "short"])
def test_agent_does_not_start_with_a_placeholder(tmp_path: Path, token: str) -> None:
    import subprocess  # noqa: PLC0415 - the only test that needs it
    import sys  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-m", "funai.runtime_agent"],
        env={"PYTHONPATH": "services", "AGENT_RUNTIME_TOKEN": token, "AGENT_NODE_NAME": "n"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert "AGENT_RUNTIME_TOKEN" in done.stderr
