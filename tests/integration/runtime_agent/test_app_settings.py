"""Environment and limits of apps, from the request to the container on the machine's own engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers
from tests.integration.runtime_agent.test_recovery import HEALED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

SECRET = "hunter2 with spaces,\nlines = and \u00e9"
#: RELEASE is one of the image's own, which the app shows on its page.
ENVIRONMENT = {"TOKEN": SECRET, "RELEASE": "of-settings"}
LIMITS = {"memoryMib": 48, "cpus": 0.5}


def environment_of(engine: APIClient, name: str) -> dict[str, str]:
    found = engine.inspect_container(name)["Config"]["Env"]
    return dict(entry.split("=", 1) for entry in found)


def limits_of(engine: APIClient, name: str) -> tuple[int, int]:
    host = engine.inspect_container(name)["HostConfig"]
    return host["Memory"] // 2**20, host["NanoCpus"]


def traces(node: Node) -> bytes:
    """Return all that the agent wrote to disk, its log among it."""
    files = [path for path in node.folder.iterdir() if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


@pytest.fixture
def deployed(node: Node, app_image: Callable[[str], str]) -> Node:
    answer = node.deploy(app_image("1"), fence=1, environment=ENVIRONMENT, limits=LIMITS)
    assert answer.ok, answer.text
    return node


def test_app_gets_environment_and_limits(deployed: Node, engine: APIClient) -> None:
    found = environment_of(engine, "rt-shop-1")

    assert found["TOKEN"] == SECRET
    assert (found["PORT"], found["BASE_PATH"]) == ("8080", "/apps/shop")
    assert limits_of(engine, "rt-shop-1") == (48, 500_000_000)
    assert deployed.page() == "release of-settings port 8080 path /apps/shop"


def test_nothing_on_the_agents_disk_shows_a_value(deployed: Node) -> None:
    deployed.stop()

    found = traces(deployed)

    assert b"hunter2" not in found
    assert b"of-settings" not in found


def test_deploy_without_settings_gives_the_nodes_own(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert deployed.deploy(app_image("1"), fence=2).ok

    assert "TOKEN" not in environment_of(engine, "rt-shop-2")
    assert limits_of(engine, "rt-shop-2") == (64, 1_000_000_000)
    assert deployed.page().startswith("release 1 ")


def test_container_that_is_gone_comes_back_with_its_settings(
    deployed: Node, engine: APIClient
) -> None:
    deployed.stop()
    engine.remove_container("rt-shop-1", force=True)
    deployed.start()

    eventually(
        lambda: deployed.page() == "release of-settings port 8080 path /apps/shop", HEALED_SECONDS
    )
    assert environment_of(engine, "rt-shop-1")["TOKEN"] == SECRET
    assert limits_of(engine, "rt-shop-1") == (48, 500_000_000)


def test_container_without_a_record_keeps_its_settings(deployed: Node, engine: APIClient) -> None:
    deployed.stop()
    for path in [*deployed.folder.glob("agent.db*"), deployed.folder / "settings.key"]:
        path.unlink(missing_ok=True)
    deployed.start()
    # Whoever is told so may rely on its settings too.
    eventually(lambda: deployed.status()["state"] == "DEPLOYED", HEALED_SECONDS, "adopted")

    engine.remove_container("rt-shop-1", force=True)

    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-1"], HEALED_SECONDS)
    assert environment_of(engine, "rt-shop-1")["TOKEN"] == SECRET
    assert limits_of(engine, "rt-shop-1") == (48, 500_000_000)


def test_lost_settings_are_a_condition_and_the_next_deploy_heals(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    deployed.stop()
    engine.remove_container("rt-shop-1", force=True)
    (deployed.folder / "settings.key").unlink()
    deployed.start()

    def condition() -> dict[str, Any]:
        return deployed.condition("app shop")

    eventually(lambda: "settings of app shop" in str(condition()), HEALED_SECONDS)
    assert deployed.deploy(app_image("1"), fence=2, environment=ENVIRONMENT).ok
    assert environment_of(engine, "rt-shop-2")["TOKEN"] == SECRET


def test_warm_container_serves_again_only_with_the_same_settings(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    node.stop()
    node.start(AGENT_WARM_SECONDS="600")

    def deploy(variant: str, fence: int, environment: dict[str, str]) -> dict[str, Any]:
        answer = node.deploy(app_image(variant), fence=fence, environment=environment)
        assert answer.ok, answer.text
        eventually(lambda: set(node.phases()) == {"DONE"}, 30, "drained")
        return dict(answer.json())

    deploy("1", 1, {"TOKEN": "old"})
    deploy("2", 2, {"TOKEN": "old"})
    same = deploy("1", 3, {"TOKEN": "old"})
    other = deploy("2", 4, {"TOKEN": "new"})

    assert (same["warm"], same["containerName"]) == (True, "rt-shop-1")
    assert (other["warm"], other["containerName"]) == (False, "rt-shop-4")
    assert environment_of(engine, "rt-shop-4")["TOKEN"] == "new"
    node.stop()
    engine.remove_container("rt-shop-4", force=True)
    node.start()
    eventually(lambda: node.page().startswith("release 2 "), HEALED_SECONDS)
    assert environment_of(engine, "rt-shop-4")["TOKEN"] == "new"


def test_warm_container_that_serves_again_can_be_made_again(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    node.stop()
    node.start(AGENT_WARM_SECONDS="600")
    last = ""
    for fence, variant in enumerate(("1", "2", "1"), start=1):
        answer = node.deploy(
            app_image(variant), fence=fence, environment={"TOKEN": f"of {variant}"}
        )
        assert answer.ok, answer.text
        last = answer.json()["containerName"]
    assert last == "rt-shop-1"

    engine.remove_container("rt-shop-1", force=True)

    eventually(lambda: node.page().startswith("release 1 "), HEALED_SECONDS)
    assert environment_of(engine, "rt-shop-1")["TOKEN"] == "of 1"


def test_more_than_the_node_has_is_refused_by_name(
    deployed: Node, app_image: Callable[[str], str]
) -> None:
    answer = deployed.deploy(app_image("2"), fence=2, limits={"cpus": 64})

    assert answer.status_code == 422
    assert answer.json()["reason"] == "INVALID_REQUEST"
    assert "limits.cpus is 64, more than the" in answer.json()["detail"]
    assert deployed.page().startswith("release of-settings ")


def test_largest_environment_reaches_the_app(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    environment = {f"V{number}": "\u00e9" * 16_000 for number in range(4)}

    answer = node.deploy(app_image("1"), fence=1, environment=environment)

    assert answer.ok, answer.text
    assert environment_of(engine, "rt-shop-1")["V3"] == environment["V3"]


def test_failed_deploy_shows_no_value_in_its_answer(
    deployed: Node, app_image: Callable[[str], str]
) -> None:
    answer = deployed.deploy(app_image("exits"), fence=2, environment={"TOKEN": SECRET})

    assert answer.json()["reason"] == "CONTAINER_EXITED"
    assert "hunter2" not in answer.text
    assert deployed.page().startswith("release of-settings ")
