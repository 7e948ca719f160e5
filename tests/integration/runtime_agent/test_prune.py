"""What pruning removes from a node, and what it never touches."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from funai.runtime_agent.engine.images import own_tag
from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

Registry = dict[str, Any]
PORTS = {"elsewhere": 9090}
#: Several times what lies between two looks of an agent that was woken.
QUIET_SECONDS = 5.0


@pytest.fixture
def pulling_node(node: Node, registry: Registry, engine: APIClient) -> Node:
    """Return a node that has none of the registry's images."""
    for image in engine.images(name=registry["repository"]):
        engine.remove_image(image["Id"], force=True)
    node.registries.write_text(json.dumps({registry["host"]: registry["account"]}))
    return node


def deploy_all(node: Node, registry: Registry, *tags: str, by_digest: bool = False) -> list[str]:
    """Deploy variants one after the other, wait for the drains, return their digests."""
    digests = []
    for tag in tags:
        image = f"{registry['repository']}:{tag}"
        if by_digest:
            image = f"{registry['repository']}@{digest_of(registry, tag)}"
        fence = node.status()["highestFence"] + 1
        answer = node.deploy(image, fence=fence, containerPort=PORTS.get(tag, 8080))
        assert answer.ok, answer.text
        digests.append(answer.json()["imageDigest"])
    eventually(lambda: set(node.phases()) == {"DONE"}, 40, "drained")
    return digests


def digest_of(registry: Registry, tag: str) -> str:
    import requests  # noqa: PLC0415 - only this helper asks the registry itself

    answer = requests.head(
        f"http://{registry['host']}/v2/funai-test/app/manifests/{tag}",
        auth=(registry["account"]["username"], registry["account"]["password"]),
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        timeout=10,
    )
    return answer.headers["Docker-Content-Digest"]


def digests_here(engine: APIClient, registry: Registry) -> set[str]:
    return {
        digest.partition("@")[2]
        for image in engine.images(name=registry["repository"])
        for digest in image["RepoDigests"] or []
    }


def names(entries: list[dict[str, Any]], kind: str) -> list[str]:
    return [entry["name"] for entry in entries if entry["kind"] == kind]


def test_newest_images_stay_and_older_ones_go(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    digests = deploy_all(pulling_node, registry, "1", "2", "elsewhere", "chatty")

    assert digests_here(engine, registry) == set(digests[1:])
    gone = pulling_node.post("/agent/apps/delete", userId="7", appId="shop").json()
    assert sorted(gone["images"]["removed"]) == sorted(digests[1:])
    assert digests_here(engine, registry) == set()


def pull_in_vain(engine: APIClient, registry: Registry) -> str:
    """Leave an image as a deploy does that came to nothing during its pull; return its digest."""
    left = digest_of(registry, "1")
    engine.pull(registry["repository"], tag=left, auth_config=registry["account"])
    engine.tag(f"{registry['repository']}@{left}", registry["repository"], own_tag(left))
    return left


def test_image_that_a_deploy_pulled_in_vain_is_the_agents_too(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    left = pull_in_vain(engine, registry)

    digests = deploy_all(pulling_node, registry, "1", "2", "elsewhere", "chatty")

    assert digests[0] == left
    assert digests_here(engine, registry) == set(digests[1:])


def test_image_of_no_record_stays_for_a_while(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    left = pull_in_vain(engine, registry)

    assert pulling_node.post("/agent/prune", dryRun=False).json()["removed"] == []

    assert digests_here(engine, registry) == {left}


def test_image_that_was_deployed_again_is_new_again(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    first, second, third, again, fourth = deploy_all(
        pulling_node, registry, "1", "2", "elsewhere", "1", "chatty"
    )

    assert again == first
    assert second not in digests_here(engine, registry)
    assert digests_here(engine, registry) == {first, third, fourth}


def test_image_pulled_by_digest_is_safe_from_a_prune_of_untagged_images(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    digests = deploy_all(pulling_node, registry, "1", "2", by_digest=True)
    assert pulling_node.post("/agent/apps/stop", userId="7", appId="shop").ok
    engine.prune_images({"dangling": True})  # type: ignore[no-untyped-call]

    assert digests_here(engine, registry) == set(digests)
    # Stopped: its container still stands on the second one.
    answer = pulling_node.post("/agent/prune", dryRun=False, keep=1).json()
    assert names(answer["removed"], "image") == [digests[0]]
    assert digests_here(engine, registry) == {digests[1]}


def test_dry_run_says_what_would_go_and_why_and_removes_nothing(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    digests = deploy_all(pulling_node, registry, "1", "2", "elsewhere")

    dry = pulling_node.post("/agent/prune", dryRun=True, keep=1).json()

    assert digests_here(engine, registry) == set(digests)
    assert sorted(names(dry["removed"], "image")) == sorted(digests[:2])
    assert names(dry["kept"], "image") == [digests[2]]
    assert names(dry["kept"], "container") == ["rt-shop-3"]
    assert dry["freedBytes"] == sum(entry["bytes"] for entry in dry["removed"]) > 0
    assert all(entry["why"] for entry in dry["removed"] + dry["kept"])
    wet = pulling_node.post("/agent/prune", dryRun=False, keep=1).json()
    assert wet["removed"] == dry["removed"]
    assert digests_here(engine, registry) == {digests[2]}
    assert pulling_node.post("/agent/prune", dryRun=False).json()["removed"] == []


def test_image_with_a_name_of_somebody_else_stays(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    digests = deploy_all(pulling_node, registry, "1", "2")
    engine.tag(f"{registry['repository']}@{digests[0]}", "funai-test-somebody/else", "1")
    try:
        answer = pulling_node.post("/agent/prune", dryRun=False, keep=1).json()

        assert names(answer["removed"], "image") == []
        assert {"kind": "image", "name": digests[0]}.items() <= answer["kept"][-1].items()
        assert engine.images(name="funai-test-somebody/else:1")
    finally:
        engine.remove_image("funai-test-somebody/else:1", force=True)


def test_warm_container_and_its_image_stay(
    pulling_node: Node, registry: Registry, engine: APIClient
) -> None:
    pulling_node.stop()
    pulling_node.start(AGENT_WARM_SECONDS="600")
    digests = deploy_all(pulling_node, registry, "1", "2")

    answer = pulling_node.post("/agent/prune", dryRun=False, keep=1).json()

    assert answer["removed"] == []
    whys = {entry["name"]: entry["why"] for entry in answer["kept"]}
    assert whys["rt-shop-1"] == "it is kept warm for app shop"
    assert whys[digests[0]] == "the warm container of app shop needs it"


def wait_until_quiet(node: Node) -> None:
    """Return once the agent has looked for the last time for now.

    Beside the look at its start it takes two when it begins to follow the engine's events.
    """
    seen: dict[str, float] = {}

    def is_quiet() -> bool:
        look, now = node.condition("gateway").get("lastSeen", 0.0), time.monotonic()
        if look != seen.get("look"):
            seen.update(look=look, since=now)
        return look > 0 and now - seen["since"] > QUIET_SECONDS

    eventually(is_quiet, 60, "quiet")


def test_orphan_goes_and_foreign_containers_and_images_stay(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    # Reconcile finds orphans as well: it waits for an hour here.
    node.stop()
    node.start(AGENT_RECONCILE_SECONDS="3600")
    wait_until_quiet(node)
    labels = {"io.funai.managed": "true", "io.funai.node": node.name, "io.funai.app": "gone"}
    engine.create_container(app_image("silent"), name="rt-gone-4", labels=labels)
    foreign = {**labels, "io.funai.node": "another-node"}
    engine.create_container(app_image("silent"), name="funai-test-foreign", labels=foreign)
    try:
        dry = node.post("/agent/prune", dryRun=True).json()
        assert names(dry["removed"], "container") == ["rt-gone-4"]
        assert own_containers(engine, node) == ["rt-gone-4", "rt-shop-1"]

        wet = node.post("/agent/prune", dryRun=False, keep=1).json()

        assert names(wet["removed"], "container") == ["rt-gone-4"]
        assert names(wet["removed"], "image") == []
        assert own_containers(engine, node) == ["rt-shop-1"]
        assert engine.inspect_container("funai-test-foreign")
        assert engine.images(name=app_image("2"))
    finally:
        engine.remove_container("funai-test-foreign", force=True)


def test_node_prunes_by_itself(pulling_node: Node, registry: Registry, engine: APIClient) -> None:
    digests = deploy_all(pulling_node, registry, "1", "2")
    pulling_node.stop()

    pulling_node.start(AGENT_PRUNE_SECONDS="1", AGENT_KEPT_REVISIONS="1")

    eventually(lambda: digests_here(engine, registry) == {digests[1]}, what="pruned")
    eventually(lambda: pulling_node.condition("prune"), what="reported")
    assert pulling_node.condition("prune")["ok"]
