"""The rules of the fence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from funai.runtime_agent.apps.model import App, AppState, DeployRequest
from funai.runtime_agent.errors import StaleFenceError

RUNNING = App(
    "shop",
    state=AppState.DEPLOYED,
    max_fence=5,
    closed_fence=5,
    fence=5,
    image="app:1",
    port=80,
    address="198.19.0.2",
    answer={"containerName": "rt-shop-5"},
)


def request(fence: int | None, image: str = "app:1", port: int = 80) -> DeployRequest:
    return DeployRequest("shop", "7", fence, image=image, port=port)


@pytest.mark.parametrize("fence", [None, 5, 6])
def test_fence_that_is_not_behind_is_admitted(fence: int | None) -> None:
    RUNNING.admit(fence)


def test_fence_behind_is_refused() -> None:
    with pytest.raises(StaleFenceError, match="has seen 5"):
        RUNNING.admit(4)


@pytest.mark.parametrize("fence", [None, 6])
def test_new_deploy_is_no_replay(fence: int | None) -> None:
    assert RUNNING.replay(request(fence)) is None


def test_same_deploy_is_answered_again() -> None:
    assert RUNNING.replay(request(5)) == {"containerName": "rt-shop-5"}


@pytest.mark.parametrize(
    ("app", "repeated"),
    [
        pytest.param(RUNNING, request(5, image="app:2"), id="other-image"),
        pytest.param(RUNNING, request(5, port=81), id="other-port"),
        pytest.param(replace(RUNNING, state=AppState.STOPPED), request(5), id="stopped-since"),
        pytest.param(replace(RUNNING, state=AppState.DELETED), request(5), id="deleted-since"),
    ],
)
def test_used_fence_does_nothing_else(app: App, repeated: DeployRequest) -> None:
    with pytest.raises(StaleFenceError, match="used up"):
        app.replay(repeated)


def test_failed_deploy_leaves_its_fence_usable() -> None:
    failed = replace(RUNNING, max_fence=6)

    assert failed.replay(request(6)) is None


@pytest.mark.parametrize(
    ("state", "route"),
    [
        (AppState.DEPLOYED, "198.19.0.2:80"),
        (AppState.STOPPED, None),
        (AppState.DELETED, None),
        (AppState.NEW, None),
    ],
)
def test_only_a_deployed_app_has_a_route(state: AppState, route: str | None) -> None:
    assert replace(RUNNING, state=state).route == route
