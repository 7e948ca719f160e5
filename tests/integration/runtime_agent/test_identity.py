"""A route only ever leads to the container of its own app, whatever answers at the address."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.integration.runtime_agent.rig import NETWORK, Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers
from tests.integration.runtime_agent.test_recovery import HEALED_SECONDS, deploy_in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient

STRANGER = "somebody-elses-server"


@contextmanager
def stranger_at(engine: APIClient, address: str, image: str) -> Iterator[None]:
    """Let a container that is not the platform's have an address, and answer there."""
    network = engine.create_endpoint_config(ipv4_address=address)
    engine.create_container(
        image,
        name=STRANGER,
        networking_config={"EndpointsConfig": {NETWORK: network}},
        host_config=engine.create_host_config(network_mode=NETWORK),
        environment={"RELEASE": "stranger"},
    )
    try:
        engine.start(STRANGER)
        yield
    finally:
        engine.remove_container(STRANGER, force=True)


def address_of(engine: APIClient, name: str) -> str:
    found: dict[str, Any] = engine.inspect_container(name)
    return str(found["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])


def test_stranger_at_the_address_of_a_starting_container_gets_no_route(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    caller = deploy_in_background(node, app_image("gated"), fence=2)
    eventually(lambda: "STARTED" in node.phases(), what="started")
    address = address_of(engine, "rt-shop-2")

    engine.remove_container("rt-shop-2", force=True)
    with stranger_at(engine, address, app_image("1")):
        caller.join(30)

        eventually(lambda: node.phases()[-1] == "UNDONE", HEALED_SECONDS)
        assert address not in node.haproxy.map_file.read_text()
        assert node.page().startswith("release 1 ")


def test_recovery_does_not_route_to_a_stranger_at_the_address(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.haproxy.process.send_signal(signal.SIGSTOP)
    deploy_in_background(node, app_image("2"), fence=2)
    eventually(lambda: "HEALTHY" in node.phases(), what="healthy")
    address = address_of(engine, "rt-shop-2")
    node.kill()
    node.haproxy.process.send_signal(signal.SIGCONT)
    engine.remove_container("rt-shop-2", force=True)

    with stranger_at(engine, address, app_image("1")):
        node.start()

        eventually(lambda: node.phases()[-1] == "UNDONE", HEALED_SECONDS)
        eventually(lambda: address not in node.haproxy.map_file.read_text(), HEALED_SECONDS)
        assert node.page().startswith("release 1 ")


def test_app_whose_address_was_taken_moves_to_another(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    address = address_of(engine, "rt-shop-1")
    node.kill()
    engine.stop("rt-shop-1", timeout=0)

    with stranger_at(engine, address, app_image("2")):
        node.start()

        eventually(lambda: address not in node.haproxy.map_file.read_text(), HEALED_SECONDS)
        eventually(lambda: node.page().startswith("release 1 "), HEALED_SECONDS)
        assert own_containers(engine, node) == ["rt-shop-1"]
        assert address_of(engine, "rt-shop-1") != address
        assert node.status()["fence"] == 1
