"""What a crash of the agent, the gateway or a container leaves, and who puts it right."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import requests

from tests.integration.runtime_agent.images import let_go, lingers
from tests.integration.runtime_agent.rig import FakeDeploy, Haproxy, Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

#: A look of the agent, a grace and a probe take less; the rest is for a machine that is busy.
HEALED_SECONDS = 30


def deploy_in_background(node: Node, image: str, **fields: Any) -> threading.Thread:
    """Start a deploy whose answer never comes, because the agent is killed."""

    def call() -> None:
        try:
            node.deploy(image, **fields)
        except requests.RequestException:
            return

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_killed_between_start_and_ready_goes_back(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    old = engine.inspect_container("rt-shop-1")["Id"]
    deploy_in_background(node, app_image("gated"), fence=2)
    eventually(lambda: "STARTED" in node.phases(), what="started")

    node.kill()
    # It answers when the agent is back, but nobody knows that the route may lead there.
    let_go(engine, "rt-shop-2")
    node.start()

    eventually(lambda: own_containers(engine, node) == ["rt-shop-1"], HEALED_SECONDS)
    eventually(lambda: node.phases()[-1] == "UNDONE", HEALED_SECONDS)
    assert engine.inspect_container("rt-shop-1")["Id"] == old
    assert node.page().startswith("release 1 ")
    # The same claim may try again: nothing was done with its fence.
    assert node.deploy(app_image("2"), fence=2).ok


def test_killed_when_healthy_goes_on_to_the_new_version(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.haproxy.process.send_signal(signal.SIGSTOP)
    deploy_in_background(node, app_image("2"), fence=2)
    eventually(lambda: "HEALTHY" in node.phases(), what="healthy")

    node.kill()
    node.haproxy.process.send_signal(signal.SIGCONT)
    node.start()

    eventually(lambda: node.page().startswith("release 2 "), HEALED_SECONDS)
    eventually(lambda: own_containers(engine, node) == ["rt-shop-2"], HEALED_SECONDS)
    again = node.deploy(app_image("2"), fence=2)
    assert (again.status_code, again.json()["containerName"]) == (200, "rt-shop-2")


def test_killed_when_healthy_goes_back_where_a_newer_claim_came(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.haproxy.process.send_signal(signal.SIGSTOP)
    deploy_in_background(node, app_image("2"), fence=2)
    eventually(lambda: "HEALTHY" in node.phases(), what="healthy")
    deploy_in_background(node, app_image("1"), fence=3)
    eventually(lambda: node.status_row()["max_fence"] == 3, what="newer claim")

    node.kill()
    node.haproxy.process.send_signal(signal.SIGCONT)
    node.start()

    eventually(lambda: own_containers(engine, node) == ["rt-shop-1"], HEALED_SECONDS)
    assert node.page().startswith("release 1 ")


def test_killed_after_the_switch_still_removes_the_old_version(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    with ThreadPoolExecutor() as pool:
        lingering = pool.submit(node.haproxy.get, "/apps/shop/cgi-bin/linger")
        eventually(lambda: lingers(engine, "rt-shop-1"), what="request arrived")
        assert node.deploy(app_image("2"), fence=2).ok

        node.kill()
        node.start()
        let_go(engine, "rt-shop-1")

        assert lingering.result().text == "lingered\n"
    eventually(lambda: own_containers(engine, node) == ["rt-shop-2"], HEALED_SECONDS)
    assert node.page().startswith("release 2 ")
    eventually(lambda: node.phases() == ["DONE", "DONE"], HEALED_SECONDS)


def test_apps_answer_while_the_agent_is_down(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    node.kill()

    assert node.page().startswith("release 1 ")
    node.haproxy.kill()
    node.haproxy.start()
    assert node.page().startswith("release 1 ")


def test_killed_gateway_has_its_routes_back_from_the_file(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    assert node.deploy(app_image("2"), fence=1, appId="blog").ok

    node.haproxy.kill()
    eventually(lambda: node.condition("gateway").get("ok") is False, what="gateway is down")
    node.haproxy.start()

    assert node.page("shop").startswith("release 1 ")
    assert node.page("blog").startswith("release 2 ")
    eventually(lambda: node.condition("gateway").get("ok"), what="gateway is up")
    assert node.log.count("WARNING funai.runtime_agent.conditions: gateway:") == 1


def test_route_changes_behind_the_agents_back_are_put_right(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    node.haproxy.command(f"clear map {node.haproxy.map_file}")
    node.haproxy.command(f"add map {node.haproxy.map_file} ghost 198.19.32.250:8080")
    eventually(lambda: node.page().startswith("release 1 "), HEALED_SECONDS)
    eventually(lambda: node.haproxy.get("/apps/ghost/").status_code == 404, HEALED_SECONDS)
    node.haproxy.map_file.write_text("half a li")

    eventually(lambda: "shop 198.19.32." in node.haproxy.map_file.read_text(), HEALED_SECONDS)


def test_deploy_without_a_gateway_fails_and_changes_nothing(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.haproxy.kill()

    answer = node.deploy(app_image("2"), fence=2)

    assert (answer.status_code, answer.json()["reason"]) == (503, "GATEWAY_UNAVAILABLE")
    node.haproxy.start()
    eventually(lambda: own_containers(engine, node) == ["rt-shop-1"], HEALED_SECONDS)
    assert node.page().startswith("release 1 ")


def test_killed_container_comes_back_at_its_address(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    engine.kill("rt-shop-1")

    # Five are promised; the rest is for a machine that is busy.
    eventually(lambda: node.page().startswith("release 1 "), 10)


def test_removed_container_is_made_again_at_its_address(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    before = node.haproxy.map_file.read_text()

    engine.remove_container("rt-shop-1", force=True)

    eventually(lambda: node.page().startswith("release 1 "), HEALED_SECONDS)
    assert node.haproxy.map_file.read_text() == before
    assert node.status()["fence"] == 1


def test_rebooted_node_has_every_app_back_without_deploy(
    node: Node, engine: APIClient, app_image: Callable[[str], str], fake_deploy: FakeDeploy
) -> None:
    for number in range(3):
        assert node.deploy(app_image("1"), fence=1, appId=f"app{number}").ok
    assert node.deploy(app_image("1"), fence=1, appId="off").ok
    assert node.post("/agent/apps/stop", userId="7", appId="off").ok
    node.kill()
    node.haproxy.kill()
    for name in own_containers(engine, node):
        engine.kill(name) if name != "rt-off-1" else None
    node.settings["AGENT_DEPLOY_URL"] = "http://127.0.0.1:1"

    node.haproxy.start()
    node.start()

    for number in range(3):
        app_id = f"app{number}"
        eventually(lambda: node.page(app_id).startswith("release 1 "), HEALED_SECONDS)  # noqa: B023
    assert not node.status("off")["running"]
    assert node.haproxy.get("/apps/off/").status_code == 404


def test_lost_state_file_is_rebuilt_from_the_containers(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=5).ok
    node.stop()
    (node.folder / "agent.db").write_bytes(b"not a database at all" * 200)

    node.start()

    eventually(lambda: node.status()["state"] == "DEPLOYED", HEALED_SECONDS)
    assert node.page().startswith("release 1 ")
    assert node.deploy(app_image("2"), fence=4).json()["reason"] == "STALE_FENCE"
    assert own_containers(engine, node) == ["rt-shop-5"]


def test_engine_that_is_away_takes_no_route(
    node: Node, app_image: Callable[[str], str], haproxy: Haproxy, fake_deploy: FakeDeploy
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.stop()

    node.start(AGENT_ENGINE_SOCKET=str(node.folder / "no-engine.sock"))

    node.wait_reconciled()
    assert not node.condition("engine")["ok"]
    assert node.page().startswith("release 1 ")
    answer = node.deploy(app_image("2"), fence=2)
    assert (answer.status_code, answer.json()["reason"]) == (503, "ENGINE_UNAVAILABLE")
    assert node.log.count("WARNING funai.runtime_agent.conditions: engine:") == 1


def test_foreign_containers_are_untouched(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    # Same names as another agent would use, but neither label nor exactly this app's name.
    names = ["rt-u-7-shop2", "rt-app-shop2", "someone-elses"]
    for name in names:
        engine.create_container(app_image("silent"), name=name)
    try:
        assert node.deploy(app_image("1"), fence=1).ok
        assert node.post("/agent/apps/delete", userId="7", appId="shop").ok
        for name in names:
            assert engine.inspect_container(name)["State"]["Status"] == "created"
    finally:
        for name in names:
            engine.remove_container(name, force=True)


def test_container_of_an_earlier_agent_is_replaced(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    engine.create_container(app_image("silent"), name="rt-u-7-shop")
    engine.start("rt-u-7-shop")
    try:
        found = node.status()
        assert (found["containerName"], found["running"]) == ("rt-u-7-shop", True)
        assert node.deploy(app_image("1"), fence=1).ok
        eventually(lambda: not engine.containers(all=True, filters={"name": "^/rt-u-7-shop$"}), 30)
    finally:
        for entry in engine.containers(all=True, filters={"name": "^/rt-u-7-shop$"}):
            engine.remove_container(entry["Id"], force=True)
