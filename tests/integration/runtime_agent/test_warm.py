"""Replaced containers that stay warm: the way back is a switch of the route."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.runtime_agent.images import let_go, lingers
from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers, under_load
from tests.integration.runtime_agent.test_recovery import HEALED_SECONDS, deploy_in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient


@pytest.fixture
def warm_node(node: Node) -> Node:
    """Return a node that keeps replaced containers."""
    node.stop()
    return node.start(AGENT_WARM_SECONDS="600")


@pytest.fixture
def deployed(warm_node: Node, app_image: Callable[[str], str]) -> Node:
    """Return that node with variant 2 deployed after variant 1, and all drained."""
    assert warm_node.deploy(app_image("1"), fence=1, release="r1").ok
    assert warm_node.deploy(app_image("2"), fence=2, release="r2").ok
    eventually(lambda: warm_node.phases() == ["DONE", "DONE"], what="drained")
    return warm_node


@pytest.fixture
def stuck(engine: APIClient) -> Iterator[Callable[[str], None]]:
    """Stop all processes of containers; they go on at the end."""
    stopped: list[int] = []

    def stop(name: str) -> None:
        for row in engine.top(name)["Processes"]:
            os.kill(int(row[1]), signal.SIGSTOP)
            stopped.append(int(row[1]))

    yield stop
    for pid in stopped:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def release_of(node: Node, app_id: str = "shop") -> str | None:
    return node.haproxy.get(f"/apps/{app_id}/").headers.get("X-App-Release")


def warm_of(node: Node) -> str | None:
    warm = node.status()["warm"]
    return str(warm["containerName"]) if warm else None


def test_way_back_is_a_switch_to_the_warm_container(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert warm_of(deployed) == "rt-shop-1"
    started = engine.inspect_container("rt-shop-1")["State"]["StartedAt"]

    answer = deployed.deploy(app_image("1"), fence=3, release="r1").json()

    assert (answer["containerName"], answer["warm"], answer["release"]) == ("rt-shop-1", True, "r1")
    assert answer["durations"]["startMs"] == 0
    assert deployed.page().startswith("release 1 ")
    assert release_of(deployed) == "r1"
    assert engine.inspect_container("rt-shop-1")["State"]["StartedAt"] == started
    status = deployed.status()
    assert (status["fence"], status["release"], status["running"]) == (3, "r1", True)
    assert status["warm"]["containerName"] == "rt-shop-2"
    assert status["warm"]["release"] == "r2"
    assert status["warm"]["until"].endswith("Z")
    eventually(lambda: set(deployed.phases()) == {"DONE"}, what="drained")
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]
    beats = deployed.deploy_service.heartbeats
    eventually(lambda: beats[-1][1].get("containerCount") == 2, what="both are counted")


def test_same_image_as_the_running_one_starts_anew(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    answer = deployed.deploy(app_image("2"), fence=3).json()

    assert (answer["containerName"], answer["warm"]) == ("rt-shop-3", False)
    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-2", "rt-shop-3"], 40)
    assert warm_of(deployed) == "rt-shop-2"


def test_other_settings_are_no_reason_to_reuse(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    answer = deployed.deploy(app_image("1"), fence=3, healthPath="/cgi-bin/echo?a=1").json()

    assert (answer["containerName"], answer["warm"]) == ("rt-shop-3", False)
    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-2", "rt-shop-3"], 40)


def test_way_back_while_requests_are_still_open(
    warm_node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert warm_node.deploy(app_image("1"), fence=1).ok
    bodies: list[str] = []
    slow = threading.Thread(
        target=lambda: bodies.append(warm_node.haproxy.get("/apps/shop/cgi-bin/linger").text)
    )
    slow.start()
    eventually(lambda: lingers(engine, "rt-shop-1"), what="request arrived")
    assert warm_node.deploy(app_image("2"), fence=2).ok

    assert warm_node.deploy(app_image("1"), fence=3).json()["warm"]

    let_go(engine, "rt-shop-1")
    slow.join(60)
    assert bodies == ["lingered\n"]
    eventually(lambda: set(warm_node.phases()) == {"DONE"}, 40, "drained")
    assert own_containers(engine, warm_node) == ["rt-shop-1", "rt-shop-2"]
    assert warm_node.page().startswith("release 1 ")


def test_switching_to_and_fro_under_load_fails_no_request(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    with under_load(deployed) as (failures, counts):
        for fence in range(3, 15):
            variant = "1" if fence % 2 else "2"
            answer = deployed.deploy(app_image(variant), fence=fence, release=f"r{fence}")
            assert answer.json()["warm"], answer.text
            assert deployed.page().startswith(f"release {variant} ")
            assert release_of(deployed) == f"r{fence}"

    assert failures == []
    assert sum(counts) > 100
    eventually(lambda: set(deployed.phases()) == {"DONE"}, 40, "journal")
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]


def test_warm_time_ends_also_across_a_restart(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    deployed.stop()
    # Long enough to look at it twice before, on a busy machine too.
    deployed.start(AGENT_WARM_SECONDS="12")
    deployed.wait_reconciled()
    assert warm_of(deployed) == "rt-shop-1"
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]
    deployed.kill()
    deployed.start()

    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-2"], 60, "warm one gone")

    assert deployed.status()["warm"] is None
    answer = deployed.deploy(app_image("1"), fence=3).json()
    assert (answer["containerName"], answer["warm"]) == ("rt-shop-3", False)


def test_warm_container_that_died_is_removed(deployed: Node, engine: APIClient) -> None:
    engine.kill("rt-shop-1")

    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-2"], HEALED_SECONDS)
    assert deployed.status()["warm"] is None


def test_warm_container_that_does_not_answer_is_replaced_in_the_same_deploy(
    deployed: Node,
    engine: APIClient,
    app_image: Callable[[str], str],
    stuck: Callable[[str], None],
) -> None:
    stuck("rt-shop-1")

    answer = deployed.deploy(app_image("1"), fence=3, release="r3").json()

    assert (answer["containerName"], answer["warm"]) == ("rt-shop-3", False)
    assert deployed.page().startswith("release 1 ")
    assert release_of(deployed) == "r3"
    assert deployed.phases()[2:4] == ["UNDONE", deployed.phases()[3]]
    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-2", "rt-shop-3"], 60)


def test_failed_way_back_leaves_the_warm_container_warm(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    deployed.haproxy.kill()

    answer = deployed.deploy(app_image("1"), fence=3)

    assert (answer.status_code, answer.json()["reason"]) == (503, "GATEWAY_UNAVAILABLE")
    deployed.haproxy.start()
    eventually(lambda: deployed.phases()[-1] == "UNDONE", HEALED_SECONDS)
    assert deployed.page().startswith("release 2 ")
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]
    again = deployed.deploy(app_image("1"), fence=3).json()
    assert (again["containerName"], again["warm"]) == ("rt-shop-1", True)


def test_killed_before_the_warm_container_answered_goes_back(
    deployed: Node,
    engine: APIClient,
    app_image: Callable[[str], str],
    stuck: Callable[[str], None],
) -> None:
    stuck("rt-shop-1")
    deploy_in_background(deployed, app_image("1"), fence=3)
    eventually(lambda: "PREPARED" in deployed.phases(), what="prepared")

    deployed.kill()
    deployed.start()

    eventually(lambda: deployed.phases()[-1] == "UNDONE", HEALED_SECONDS)
    assert deployed.page().startswith("release 2 ")
    assert warm_of(deployed) == "rt-shop-1"
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]


def test_killed_when_the_warm_container_answered_goes_on(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    deployed.haproxy.process.send_signal(signal.SIGSTOP)
    deploy_in_background(deployed, app_image("1"), fence=3, release="r3")
    eventually(lambda: "HEALTHY" in deployed.phases(), what="healthy")

    deployed.kill()
    deployed.haproxy.process.send_signal(signal.SIGCONT)
    deployed.start()

    eventually(lambda: deployed.page().startswith("release 1 "), HEALED_SECONDS)
    eventually(lambda: set(deployed.phases()) == {"DONE"}, HEALED_SECONDS)
    assert warm_of(deployed) == "rt-shop-2"
    assert own_containers(engine, deployed) == ["rt-shop-1", "rt-shop-2"]
    again = deployed.deploy(app_image("1"), fence=3)
    assert (again.json()["warm"], again.json()["release"]) == (True, "r3")


def test_killed_while_the_old_one_drains_keeps_it_warm(
    warm_node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert warm_node.deploy(app_image("1"), fence=1).ok
    slow = threading.Thread(target=warm_node.haproxy.get, args=("/apps/shop/cgi-bin/linger",))
    slow.start()
    eventually(lambda: lingers(engine, "rt-shop-1"), what="request arrived")
    assert warm_node.deploy(app_image("2"), fence=2).ok
    assert warm_node.phases()[-1] == "SWITCHED"

    warm_node.kill()
    warm_node.start()
    let_go(engine, "rt-shop-1")

    eventually(lambda: set(warm_node.phases()) == {"DONE"}, 40, "drained")
    slow.join(60)
    assert warm_of(warm_node) == "rt-shop-1"
    assert own_containers(engine, warm_node) == ["rt-shop-1", "rt-shop-2"]


@pytest.mark.parametrize(("action", "left"), [("stop", ["rt-shop-2"]), ("delete", [])])
def test_stop_and_delete_remove_the_warm_container(
    deployed: Node, engine: APIClient, action: str, left: list[str]
) -> None:
    assert deployed.post(f"/agent/apps/{action}", userId="7", appId="shop").ok

    assert own_containers(engine, deployed) == left
    assert deployed.status()["warm"] is None


def test_reconcile_restores_the_release_with_the_route(deployed: Node) -> None:
    assert release_of(deployed) == "r2"

    deployed.haproxy.command(f"clear map {deployed.haproxy.map_file}")

    eventually(lambda: release_of(deployed) == "r2", HEALED_SECONDS)
    assert "/r2\n" in deployed.haproxy.map_file.read_text()


def test_lost_state_file_comes_back_with_release_and_health_path(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    path = "/cgi-bin/echo?deep=1"
    assert node.deploy(app_image("1"), fence=5, release="r5-0123abc", healthPath=path).ok
    labels = engine.inspect_container("rt-shop-5")["Config"]["Labels"]
    assert (labels["io.funai.release"], labels["io.funai.health"]) == ("r5-0123abc", path)
    node.stop()
    (node.folder / "agent.db").unlink()

    node.start()

    eventually(lambda: node.status()["state"] == "DEPLOYED", HEALED_SECONDS)
    assert node.status()["release"] == "r5-0123abc"
    assert node.status_row()["health_path"] == path
    assert release_of(node) == "r5-0123abc"


def test_lost_state_file_takes_the_release_of_a_container_that_serves_again_from_the_route(
    deployed: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert deployed.deploy(app_image("1"), fence=3, release="r3").json()["warm"]
    eventually(lambda: set(deployed.phases()) == {"DONE"}, what="drained")
    deployed.stop()
    (deployed.folder / "agent.db").unlink()

    deployed.start()

    eventually(lambda: own_containers(engine, deployed) == ["rt-shop-1"], HEALED_SECONDS)
    assert (deployed.status()["release"], release_of(deployed)) == ("r3", "r3")
    assert deployed.page().startswith("release 1 ")


def test_health_path_decides_whether_an_app_is_ready(
    node: Node, app_image: Callable[[str], str]
) -> None:
    # The variant answers 500 at "/".
    refused = node.deploy(app_image("broken"), fence=1, readySeconds=2)
    accepted = node.deploy(app_image("broken"), fence=2, healthPath="/cgi-bin/echo")

    assert refused.json()["reason"] == "NEVER_READY"
    assert "GET / below 500" in refused.json()["detail"]
    assert accepted.ok, accepted.text
