"""Reading the log of an app through the agent."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import requests

from tests.integration.runtime_agent.rig import TOKEN, Node, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FOLLOWERS = 4


def ask(node: Node, **query: Any) -> requests.Response:
    return requests.get(
        f"{node.url}/agent/apps/logs",
        params={"userId": "7", "appId": "shop", **query},
        headers={"X-Runtime-Token": TOKEN},
        timeout=30,
        stream=True,
    )


def read(node: Node, **query: Any) -> str:
    """Return the whole answer."""
    with ask(node, **query) as answer:
        return str(answer.text)


def follows(node: Node) -> bool:
    """Tell whether one more may follow, which it does no longer then."""
    with ask(node, follow=1) as answer:
        return bool(answer.ok)


def test_last_lines_are_plain_text(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("chatty"), fence=1).ok

    # The engine takes down what an app says when it comes to it.
    eventually(lambda: "bell" in read(node), what="the app's words")
    with ask(node) as answer:
        assert answer.ok
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        lines = answer.text.splitlines()

    assert lines[:2] == ["one", "two red �bell"]


def test_followed_log_brings_what_comes(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("chatty"), fence=1).ok

    with ask(node, tail=0, follow=1) as answer:
        lines = answer.iter_lines(chunk_size=None)

        assert [next(lines), next(lines)] == [b"tick", b"tick"]


def test_follow_of_a_silent_app_answers_at_once(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    with ask(node, follow=1) as answer:
        assert answer.status_code == 200


def test_followers_are_bounded_and_noticed_when_they_leave(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    with ExitStack() as followers:
        for _ in range(MOST_FOLLOWERS):
            assert followers.enter_context(ask(node, follow=1)).ok

        with ask(node, follow=1) as refused:
            assert (refused.status_code, refused.json()["reason"]) == (503, "TOO_MANY_FOLLOWERS")
        with ask(node) as answer:
            assert answer.ok, "reading without follow is not bounded by it"
        assert node.status()["running"], "the agent answers beside its followers"
    # The app says nothing, so that only the closed connections tell.
    eventually(lambda: follows(node), what="a place is free")


def test_follow_ends_when_another_container_serves(
    node: Node, app_image: Callable[[str], str]
) -> None:
    node.stop()
    node.start(AGENT_WARM_SECONDS="600")
    assert node.deploy(app_image("1"), fence=1).ok
    with ask(node, follow=1) as answer:
        assert node.deploy(app_image("2"), fence=2).ok

        assert answer.text == "-- rt-shop-2 serves the app now; ask again to follow it --\n"


def test_stopped_app_still_shows_its_log(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("chatty"), fence=1).ok
    assert node.post("/agent/apps/stop", userId="7", appId="shop").ok

    assert read(node, follow=1).startswith("one\n")


def test_long_log_is_cut_at_the_front_and_takes_no_memory(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("flood"), fence=1).ok

    def resident() -> int:
        assert node.process is not None
        with open(f"/proc/{node.process.pid}/status") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    eventually(lambda: read(node, tail=1).startswith("5999 "), what="all lines")
    assert read(node, tail=5000)
    before = resident()
    numbers = [int(line.split()[0]) for line in read(node, tail=5000).splitlines()]

    assert numbers == list(range(1000, 6000))
    assert resident() - before < 4000


def test_app_without_a_container_is_not_found(node: Node) -> None:
    with ask(node) as answer:
        assert (answer.status_code, answer.json()["reason"]) == (404, "APP_NOT_FOUND")
        assert "deploy it first" in answer.json()["detail"]
