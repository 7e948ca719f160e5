"""Adoption while requests are served."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from funai.runtime_agent.apps import adoption as adoption_module
from funai.runtime_agent.apps.adoption import Adoption
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.model import DeployRequest
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.engine.containers import Container, Seen
from funai.runtime_agent.errors import BusyError, RouteFailedError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.model import App
    from funai.runtime_agent.apps.parts import Parts

SHOP = Container(
    name="rt-shop-1",
    running=True,
    restarting=False,
    restart_count=0,
    exit_code=0,
    oom_killed=False,
    error="",
    image="shop:1",
    image_id="sha256:1",
    addresses=("198.19.0.2",),
    bound=("198.19.0.2",),
    labels={labels.APP: "shop", labels.FENCE: "1", labels.PORT: "8080"},
)


class World:
    """One app's containers, routes and record."""

    def __init__(self, *containers: Container, saved: str = "", live: str | None = "") -> None:
        found = {container.name: container for container in containers}
        self.saved: list[App] = []
        self._live = live
        self.parts = SimpleNamespace(
            containers=SimpleNamespace(
                seen=lambda: {
                    name: Seen(alive=True, running=True, addresses=one.addresses, app_id="shop")
                    for name, one in found.items()
                },
                of_app=lambda _app: list(found),
                find=found.get,
            ),
            apps=SimpleNamespace(
                all=lambda: list(self.saved),
                save=self.saved.append,
                open_operations=lambda _phases: [],
            ),
            gateway=SimpleNamespace(saved=lambda: {"shop": saved}, live=self._ask),
            holds=Holds(),
            node_name="node-1",
            gateway_base_url="http://127.0.0.1",
            stopping=Event(),
        )
        self.adoption = Adoption(cast("Parts", self.parts))

    def _ask(self) -> dict[str, str]:
        if self._live is None:
            msg = "no socket"
            raise RouteFailedError(msg)
        return {"shop": self._live}


def container(fence: int, address: str) -> Container:
    return replace(
        SHOP,
        name=f"rt-shop-{fence}",
        addresses=(address,),
        bound=(address,),
        labels={**SHOP.labels, labels.FENCE: str(fence)},
    )


def test_app_that_is_being_deployed_is_left_alone_until_the_deploy_ends() -> None:
    world = World(SHOP, saved="198.19.0.2:8080")

    with world.parts.holds.take_briefly("shop"), pytest.raises(BusyError):
        world.adoption.run()
    assert world.saved == []

    world.adoption.run()
    assert [app.container_name for app in world.saved] == ["rt-shop-1"]


def test_request_finds_its_app_adopted_and_nobody_looks_again() -> None:
    world = World(SHOP, saved="198.19.0.2:8080")

    world.adoption.ensure("shop")
    world.adoption.ensure("shop")
    world.adoption.run()

    assert [app.container_name for app in world.saved] == ["rt-shop-1"]


@pytest.mark.parametrize("live", ["198.19.0.2:8080/r1", "198.19.0.2:8080"])
def test_what_the_gateway_serves_is_the_apps_where_the_file_leads_nowhere(live: str) -> None:
    """A switch came to the file alone, its container is gone again, and another one was never served."""
    never_served = container(3, "198.19.0.4")
    world = World(SHOP, never_served, saved="198.19.0.3:8080", live=live)

    world.adoption.run()

    assert [app.container_name for app in world.saved] == ["rt-shop-1"]
    assert world.saved[0].max_fence == 3


def test_one_that_only_answers_leaves_its_claim_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its deploy may not have come to the switch: the same claim is carried out, not replayed."""
    monkeypatch.setattr(adoption_module, "_answers", lambda _parts, _app: True)
    world = World(SHOP, live=None)

    world.adoption.run()

    app = world.saved[0]
    assert (app.state, app.max_fence, app.closed_fence) == ("DEPLOYED", 1, 0)
    again = DeployRequest("shop", "", 1, image=app.image, port=app.port)
    assert app.replay(again) is None


def test_one_that_was_stopped_is_not_deployed_again_by_its_own_claim() -> None:
    world = World(replace(SHOP, running=False))

    world.adoption.run()

    assert (world.saved[0].state, world.saved[0].closed_fence) == ("STOPPED", 1)
