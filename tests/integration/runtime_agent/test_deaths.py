"""A container that ends wakes the agent, which does not wait for its next look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.runtime_agent.rig import Node, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

#: Longer than any test: what heals was woken.
SELDOM = "3600"


def test_app_whose_container_was_killed_is_back_long_before_the_next_look(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.stop()
    node.start(AGENT_RECONCILE_SECONDS=SELDOM)
    node.wait_reconciled()

    # Unlike a process that dies, this the engine does not restart.
    engine.kill("rt-shop-1")

    eventually(lambda: node.page().startswith("release 1 "), what="the app")
    assert engine.inspect_container("rt-shop-1")["State"]["Running"]
