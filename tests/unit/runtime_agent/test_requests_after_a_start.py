"""Whoever asks first after a start: the app's containers are looked at before a record is made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.runtime_agent.apps.model import App, DeployRequest, Target
from funai.runtime_agent.apps.service import AppService
from funai.runtime_agent.errors import StaleFenceError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "ask",
    [
        lambda apps: apps.deploy(DeployRequest("shop", "7", 1, image="shop:1")),
        lambda apps: apps.stop(Target("shop", "7", 1)),
        lambda apps: apps.delete(Target("shop", "7", 1)),
        lambda apps: apps.close(Target("shop", "7", 1)),
    ],
    ids=["deploy", "stop", "delete", "close"],
)
def test_app_is_looked_at_before_the_request_leaves_a_record(
    ask: Callable[[AppService], object],
) -> None:
    steps: list[str] = []

    def refuse(_app_id: str, _fence: int | None) -> App:
        steps.append("record")
        msg = "stale"
        raise StaleFenceError(msg)

    parts = SimpleNamespace(apps=SimpleNamespace(get=App, raise_fence=refuse))
    adoption = SimpleNamespace(ensure=lambda app_id: steps.append(f"look at {app_id}"))
    found: Any = AppService(
        cast("Any", parts),
        cast("Any", adoption),
        cast("Any", None),
        cast("Any", None),
        lambda _outcome: None,
        fence_required=False,
    )

    with pytest.raises(StaleFenceError):
        ask(found)

    assert steps == ["look at shop", "record"]
