"""The engine's word on who has an address, right before a route goes live."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.holds import Hold
from funai.runtime_agent.apps.identity import check_identity
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.errors import NeverReadyError
from funai.runtime_agent.http_probe import Answer
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from funai.runtime_agent.engine.containers import Container, Containers

ADDRESS = "198.19.0.9"
OPERATION = Operation(
    1, "shop", "7", "", 4, Phase.HEALTHY, "rt-shop-4", ADDRESS, 80, "app:1", "sha256:d", "sha256:i"
)
LABELS = {"io.funai.managed": "true", "io.funai.app": "shop", "io.funai.fence": "4"}
OWN = running("rt-shop-4", ADDRESS, LABELS, image_id="sha256:i", bound=(ADDRESS,))


class Engine:
    """Says of every name the same."""

    def __init__(self, found: Container | None) -> None:
        self._found = found

    def find(self, _name: str) -> Container | None:
        return self._found


def containers(found: Container | None) -> Containers:
    return cast("Containers", Engine(found))


def test_own_container_passes() -> None:
    check_identity(containers(OWN), OPERATION)


def test_warm_container_may_have_an_earlier_fence() -> None:
    earlier = replace(OWN, labels={**LABELS, "io.funai.fence": "2"})

    check_identity(containers(earlier), replace(OPERATION, reused=True))


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (None, "gone"),
        (replace(OWN, running=False), "does not run"),
        (replace(OWN, restarting=True), "does not run"),
        (replace(OWN, labels={**LABELS, "io.funai.app": "blog"}), "app is blog"),
        (replace(OWN, labels={}), "app is none"),
        (replace(OWN, labels={**LABELS, "io.funai.fence": "3"}), "fence is 3"),
        (replace(OWN, image_id="sha256:other"), "image is sha256:other"),
        (replace(OWN, bound=()), "address is none"),
        (replace(OWN, bound=("198.19.0.10",)), "address is 198.19.0.10"),
    ],
)
def test_anything_else_gets_no_route(found: Container | None, word: str) -> None:
    with pytest.raises(NeverReadyError, match=word):
        check_identity(containers(found), OPERATION)


def test_switch_asks_the_engine_before_it_writes_the_route() -> None:
    routes: list[str] = []
    parts: Any = _Parts(containers(replace(OWN, bound=())), routes)

    with pytest.raises(NeverReadyError):
        Deployment(parts, cast("Any", None)).finish(
            OPERATION, Answer(200), Hold("deploy", brief=False)
        )

    assert routes == []


class _Parts:
    def __init__(self, engine: Containers, routes: list[str]) -> None:
        self.containers = engine
        self.gateway = self
        self._routes = routes

    def set(self, _app_id: str, route: str) -> None:
        self._routes.append(route)
