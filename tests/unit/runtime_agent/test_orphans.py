"""Containers that no record wants, and what keeps them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.orphans import remove_orphan
from funai.runtime_agent.engine.containers import APP, MANAGED
from funai.runtime_agent.errors import RouteFailedError
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from funai.runtime_agent.apps.parts import Parts


def parts(live: dict[str, str] | None, removed: list[str]) -> Parts:
    def ask() -> dict[str, str]:
        if live is None:
            msg = "no socket"
            raise RouteFailedError(msg)
        return live

    labels = {MANAGED: "true", APP: "shop"}
    container = running("rt-shop-1", "198.19.0.3", labels, image_id="sha256:b", bound=())
    found: dict[str, Any] = {
        "containers": SimpleNamespace(find=lambda _name: container, remove=removed.append),
        "apps": SimpleNamespace(wanted=dict),
        "gateway": SimpleNamespace(live=ask),
        "holds": Holds(),
    }
    return cast("Parts", SimpleNamespace(**found))


@pytest.mark.parametrize("live", [{"shop": "198.19.0.3:8080/r1"}, None])
def test_container_that_may_serve_stays(live: dict[str, str] | None) -> None:
    removed: list[str] = []

    assert not remove_orphan(parts(live, removed), "rt-shop-1")
    assert removed == []


def test_container_that_no_route_leads_to_goes() -> None:
    removed: list[str] = []

    assert remove_orphan(parts({"shop": "198.19.0.30:8080/r1"}, removed), "rt-shop-1")
    assert removed == ["rt-shop-1"]
