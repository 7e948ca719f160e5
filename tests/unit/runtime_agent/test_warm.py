"""Which container is warm, and which one a drain may remove: state on a real SQLite file."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from funai.runtime_agent.apps.model import App, AppState, Operation, Phase, Setup, Warm
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")


class Shop:
    """An app whose deploys follow each other."""

    def __init__(self, path: Path) -> None:
        self.apps = AppRepository(Database(path), SUBNET)

    def prepare(self, fence: int, *replaced: str) -> Operation:
        operation = Operation(
            id=0,
            app_id="shop",
            user_id="7",
            job_id="",
            fence=fence,
            phase=Phase.PREPARED,
            container_name=f"rt-shop-{fence}",
            address="",
            port=80,
            image=f"app:{fence}",
            image_digest=f"sha256:d{fence}",
            image_id=f"sha256:i{fence}",
            replaced=tuple((name, "198.19.0.200") for name in replaced),
            release=f"r{fence}",
        )
        return self.apps.prepare(operation, set(), pulled=True, number_name=False)

    def deploy(self, fence: int, *replaced: str, seconds: float = 600) -> Operation:
        return self.apps.switch(self.prepare(fence, *replaced), {}, seconds)

    def reuse(self, fence: int, *replaced: str) -> Operation:
        """Open an entry that brings the warm container back."""
        warm = self.warm
        operation = replace(
            self.prepare(fence, *replaced),
            container_name=warm.container_name,
            address=warm.address,
            reused=True,
        )
        self.apps.advance(operation, Phase.UNDONE)
        reused = self.apps.prepare_reuse(operation)
        assert reused is not None
        return reused

    @property
    def warm(self) -> Warm:
        warm = self.apps.warm("shop")
        assert warm is not None
        return warm


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "agent.db")


def test_only_the_newest_replaced_container_is_warm(shop: Shop) -> None:
    shop.deploy(1)
    assert shop.apps.warm("shop") is None

    second = shop.deploy(2, "rt-shop-1")
    assert (shop.warm.container_name, shop.warm.release) == ("rt-shop-1", "r1")
    assert shop.apps.drained(second) == []

    third = shop.deploy(3, "rt-shop-1", "rt-shop-2")
    assert shop.warm.container_name == "rt-shop-2"
    assert shop.apps.drained(third) == ["rt-shop-1"]
    assert "rt-shop-2" in shop.apps.wanted()


def test_warm_time_survives_a_restart(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(1)
    began = time.time()
    shop.deploy(2, "rt-shop-1")

    again = Shop(tmp_path / "agent.db")

    assert began + 600 <= again.warm.until <= time.time() + 600


def test_nothing_is_warm_where_it_is_off(shop: Shop) -> None:
    shop.deploy(1)
    second = shop.deploy(2, "rt-shop-1", seconds=0)

    assert shop.apps.warm("shop") is None
    assert shop.apps.drained(second) == ["rt-shop-1"]


def test_container_of_a_stopped_app_does_not_become_warm(shop: Shop) -> None:
    shop.deploy(1)
    shop.apps.decide(replace(shop.apps.get("shop"), state=AppState.STOPPED))

    second = shop.deploy(2, "rt-shop-1")

    assert shop.apps.warm("shop") is None
    assert shop.apps.drained(second) == ["rt-shop-1"]


def test_decision_to_stop_ends_the_warm_time(shop: Shop) -> None:
    shop.deploy(1)
    shop.deploy(2, "rt-shop-1")

    shop.apps.decide(replace(shop.apps.get("shop"), state=AppState.STOPPED))

    assert shop.apps.warm("shop") is None


def test_reuse_swaps_the_two_containers(shop: Shop) -> None:
    shop.deploy(1)
    first_address = shop.apps.get("shop").address
    shop.apps.advance(shop.deploy(2, "rt-shop-1"), Phase.DONE)

    shop.apps.switch(shop.reuse(3, "rt-shop-2"), {}, 600)

    app = shop.apps.get("shop")
    assert (app.container_name, app.address, app.fence) == ("rt-shop-1", first_address, 3)
    assert app.route == f"{first_address}:80/r3"
    assert shop.warm.container_name == "rt-shop-2"


def test_gone_warm_container_is_not_prepared_for_reuse(shop: Shop) -> None:
    shop.deploy(1)
    operation = replace(shop.prepare(2), container_name="rt-shop-1", reused=True)

    assert shop.apps.prepare_reuse(operation) is None


def test_drain_leaves_a_container_that_serves_again(shop: Shop) -> None:
    shop.deploy(1)
    draining = shop.deploy(2, "rt-shop-1")

    reuse = shop.reuse(3, "rt-shop-2")
    assert shop.apps.drained(draining) == []
    shop.apps.switch(reuse, {}, 600)

    assert shop.apps.drained(draining) == []
    assert shop.apps.drained(reuse) == []


def test_drain_leaves_a_container_to_the_later_deploy_that_drains_it_too(shop: Shop) -> None:
    shop.deploy(1)
    draining = shop.deploy(2, "rt-shop-1")
    shop.apps.switch(shop.reuse(3, "rt-shop-2"), {}, 600)
    fourth = shop.deploy(4, "rt-shop-1", "rt-shop-2")
    fifth = shop.deploy(5, "rt-shop-4")

    assert shop.warm.container_name == "rt-shop-4"
    assert shop.apps.drained(draining) == []
    assert shop.apps.drained(fourth) == ["rt-shop-1", "rt-shop-2"]
    assert shop.apps.drained(fifth) == []


def test_warm_container_is_not_given_up_while_a_deploy_needs_it(shop: Shop) -> None:
    shop.apps.advance(shop.deploy(1), Phase.DONE)
    draining = shop.deploy(2, "rt-shop-1")
    warm = shop.warm
    assert not shop.apps.forget_warm(warm), "requests are under way on it"
    shop.apps.advance(draining, Phase.DONE)
    reuse = shop.reuse(3, "rt-shop-2")
    assert not shop.apps.forget_warm(warm), "it is about to serve again"
    shop.apps.advance(reuse, Phase.UNDONE)

    assert shop.apps.forget_warm(warm)
    assert not shop.apps.forget_warm(warm)
    assert "rt-shop-1" not in shop.apps.wanted()


def test_address_of_a_warm_container_is_in_use(shop: Shop) -> None:
    first = shop.deploy(1)
    shop.apps.advance(first, Phase.DONE)
    shop.apps.advance(shop.deploy(2, "rt-shop-1"), Phase.DONE)

    given = {shop.prepare(fence).address for fence in range(3, 253)}

    assert first.address not in given


def test_warm_time_is_shortened_where_the_setting_or_the_clock_went_back(shop: Shop) -> None:
    shop.deploy(1)
    shop.deploy(2, "rt-shop-1")

    shop.apps.shorten_warm(5.0)

    assert shop.warm.until == 5.0


def test_app_runs_only_the_very_same_setup() -> None:
    setup = Setup("7", "sha256:d", 80, "/")
    app = App(
        "shop", user_id="7", state=AppState.DEPLOYED, image_digest="sha256:d", port=80, release="r1"
    )

    assert app.runs(setup)
    assert app.route == ":80/r1"
    for other in (
        replace(setup, image_digest="sha256:e"),
        replace(setup, port=81),
        replace(setup, health_path="/up"),
        replace(setup, user_id="8"),
    ):
        assert not app.runs(other)
    assert not replace(app, state=AppState.STOPPED).runs(setup)
