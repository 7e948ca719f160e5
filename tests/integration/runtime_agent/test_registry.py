"""Images from a real registry: pulled by digest, and every way in which that fails."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from docker.api.client import APIClient

    from tests.integration.runtime_agent.rig import Node

Registry = dict[str, Any]


@pytest.fixture
def pulling_node(node: Node, registry: Registry, engine: APIClient) -> Node:
    """Return a node that has none of the registry's images."""
    for image in engine.images(name=registry["repository"]):
        engine.remove_image(image["Id"], force=True)
    node.registries.write_text(json.dumps({registry["host"]: registry["account"]}))
    return node


def pulls(engine: APIClient, registry: Registry, since: float) -> list[str]:
    """Return the references of the registry that the engine has pulled."""
    kinds = {"type": "image", "event": "pull"}
    events = engine.events(since=int(since), until=int(time.time()) + 1, filters=kinds, decode=True)
    pulled = [event["Actor"]["ID"] for event in events if event["timeNano"] > since * 1e9]
    events.close()
    return [reference for reference in pulled if reference.startswith(registry["repository"])]


def test_image_is_pulled_by_digest_and_not_again(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    began = time.time()
    first = pulling_node.deploy(f"{registry['repository']}:1", fence=1)
    pulled = pulls(engine, registry, began)
    second = pulling_node.deploy(f"{registry['repository']}:1", fence=2)

    assert first.ok, first.text
    assert "imageNote" not in first.json()
    digest = first.json()["imageDigest"]
    assert second.json()["imageDigest"] == digest
    container = engine.inspect_container("rt-shop-2")
    assert container["Config"]["Image"] == f"{registry['repository']}@{digest}"
    assert len(pulled) == 1
    assert pulls(engine, registry, began) == pulled


def test_deploy_by_digest_needs_no_registry_once_the_image_is_here(
    pulling_node: Node, registry: Registry
) -> None:
    digest = pulling_node.deploy(f"{registry['repository']}:2", fence=1).json()["imageDigest"]
    registry["process"].send_signal(signal.SIGSTOP)
    try:
        answer = pulling_node.deploy(f"{registry['repository']}@{digest}", fence=2)
    finally:
        registry["process"].send_signal(signal.SIGCONT)

    assert answer.ok, answer.text


@pytest.mark.parametrize(
    ("tag", "accounts", "status", "reason"),
    [
        pytest.param("nope", 1, 404, "IMAGE_NOT_FOUND", id="no-such-tag"),
        pytest.param("1", 0, 502, "REGISTRY_DENIED", id="no-account"),
    ],
)
def test_registry_that_refuses_is_quoted(
    node: Node, registry: Registry, tag: str, accounts: int, status: int, reason: str
) -> None:
    if accounts:
        node.registries.write_text(json.dumps({registry["host"]: registry["account"]}))

    answer = node.deploy(f"{registry['repository']}:{tag}", fence=1)

    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert registry["host"] in answer.json()["detail"]
    assert node.phases() == []


def test_wrong_password_is_denied(node: Node, registry: Registry) -> None:
    account = {**registry["account"], "password": "wrong"}
    node.registries.write_text(json.dumps({registry["host"]: account}))

    answer = node.deploy(f"{registry['repository']}:1", fence=1)

    assert (answer.status_code, answer.json()["reason"]) == (502, "REGISTRY_DENIED")
    assert "wrong" not in node.log.replace("wrong or missing", "")


def test_registry_that_is_down_is_no_reason_to_lose_the_app(node: Node, app_image: Any) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    answer = node.deploy("127.0.0.1:1/funai-test/never-seen:1", fence=2)

    assert (answer.status_code, answer.json()["reason"]) == (502, "REGISTRY_UNAVAILABLE")
    assert node.page().startswith("release 1 ")


def test_full_disk_is_refused_before_the_pull(pulling_node: Node, registry: Registry) -> None:
    pulling_node.stop()
    pulling_node.start(AGENT_DISK_RESERVE_MIB=str(1 << 40))

    answer = pulling_node.deploy(f"{registry['repository']}:gated", fence=1)

    assert (answer.status_code, answer.json()["reason"]) == (507, "DISK_FULL")
