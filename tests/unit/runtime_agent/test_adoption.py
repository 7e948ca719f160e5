"""Adoption while requests are served."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from funai.runtime_agent.apps.adoption import adopt
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.engine.containers import Container
from funai.runtime_agent.errors import BusyError

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


def test_app_that_is_being_deployed_is_left_alone_until_the_deploy_ends() -> None:
    saved: list[App] = []
    parts = SimpleNamespace(
        containers=SimpleNamespace(
            of_this_node=lambda: [SHOP.name],
            of_app=lambda _app: [SHOP.name],
            find=lambda _name: SHOP,
        ),
        apps=SimpleNamespace(all=list, save=saved.append),
        gateway=SimpleNamespace(saved=lambda: {"shop": "198.19.0.2:8080"}),
        holds=Holds(),
        node_name="node-1",
        gateway_base_url="http://127.0.0.1",
    )

    with parts.holds.take_briefly("shop"), pytest.raises(BusyError):
        adopt(cast("Parts", parts))
    assert saved == []

    adopt(cast("Parts", parts))
    assert [app.container_name for app in saved] == ["rt-shop-1"]
