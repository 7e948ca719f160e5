"""Who may still change an app: fences, repeats, and two deploys at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.integration.runtime_agent.images import let_go
from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from docker.api.client import APIClient


def test_stale_fence_changes_nothing_also_after_a_restart(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=7).ok
    node.kill()
    node.start()

    for path, body in (
        ("deploy", {"image": app_image("2"), "containerPort": 8080}),
        ("stop", {}),
        ("delete", {}),
    ):
        answer = node.post(f"/agent/apps/{path}", userId="7", appId="shop", fence=6, **body)
        assert (answer.status_code, answer.json()["reason"]) == (409, "STALE_FENCE"), path
        assert answer.json()["evidence"]["highestFence"] == 7

    assert own_containers(engine, node) == ["rt-shop-7"]
    assert node.page().startswith("release 1 ")


def test_repeated_deploy_gets_the_same_answer_and_does_nothing(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    first = node.deploy(app_image("1"), fence=3)
    container = engine.inspect_container("rt-shop-3")["Id"]

    again = node.deploy(app_image("1"), fence=3)
    other = node.deploy(app_image("2"), fence=3)

    assert again.json() == first.json()
    assert engine.inspect_container("rt-shop-3")["Id"] == container
    assert (other.status_code, other.json()["reason"]) == (409, "STALE_FENCE")


def test_failed_deploy_may_be_tried_again_with_its_fence(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("exits"), fence=3).status_code == 500

    assert node.deploy(app_image("1"), fence=3).ok


def test_late_deploy_does_not_undo_a_stop(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("1"), fence=3).ok
    assert node.post("/agent/apps/stop", userId="7", appId="shop").ok

    late = node.deploy(app_image("1"), fence=3)

    assert (late.status_code, late.json()["reason"]) == (409, "STALE_FENCE")
    assert not node.status()["running"]


def test_missing_fence_is_accepted_from_an_existing_runner(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1")).ok
    assert node.deploy(app_image("2")).ok

    assert node.page().startswith("release 2 ")
    eventually(lambda: len(own_containers(engine, node)) == 1, what="old one gone")


def test_missing_fence_is_refused_where_it_is_required(
    node: Node, app_image: Callable[[str], str]
) -> None:
    node.stop()
    node.start(AGENT_FENCE_REQUIRED="true")

    answer = node.deploy(app_image("1"))

    assert (answer.status_code, answer.json()["evidence"]["field"]) == (422, "fence")


def test_second_deploy_of_the_same_claim_is_busy(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(node.deploy, app_image("gated"), fence=1)
        eventually(lambda: "STARTED" in node.phases(), what="started")
        second = node.deploy(app_image("gated"), fence=1)
        let_go(engine, "rt-shop-1")

        assert (second.status_code, second.json()["reason"]) == (409, "BUSY")
        assert first.result().ok


def test_newer_claim_takes_over_from_a_deploy_in_progress(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    with ThreadPoolExecutor() as pool:
        older = pool.submit(node.deploy, app_image("silent"), fence=1, readySeconds=60)
        eventually(lambda: "STARTED" in node.phases(), what="started")
        newer = node.deploy(app_image("2"), fence=2)

        assert newer.ok, newer.text
        assert (older.result().status_code, older.result().json()["reason"]) == (409, "STALE_FENCE")
    assert node.page().startswith("release 2 ")
    assert own_containers(engine, node) == ["rt-shop-2"]


def test_stop_takes_over_from_a_deploy_in_progress(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    with ThreadPoolExecutor() as pool:
        deploy = pool.submit(node.deploy, app_image("silent"), fence=1, readySeconds=60)
        eventually(lambda: "STARTED" in node.phases(), what="started")

        assert node.post("/agent/apps/stop", userId="7", appId="shop").ok
        assert deploy.result().json()["reason"] == "STALE_FENCE"
    assert own_containers(engine, node) == []


def test_closed_app_serves_on_and_takes_nothing_older(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1, jobId="job-1", release="r1").ok

    closed = node.post("/agent/apps/close", userId="7", appId="shop", fence=3)
    late = node.deploy(app_image("2"), fence=2)

    assert closed.json() == {
        "appId": "shop",
        "fence": 3,
        "state": "DEPLOYED",
        "serving": {"jobId": "job-1", "fence": 1, "image": app_image("1"), "release": "r1"},
    }
    assert (late.status_code, late.json()["reason"]) == (409, "STALE_FENCE")
    assert own_containers(engine, node) == ["rt-shop-1"]
    assert node.deploy(app_image("2"), fence=4).ok


def close(node: Node, fence: int) -> requests.Response:
    """Close the app as Deploy does, which asks again where a deploy takes long to give up."""
    answers: list[requests.Response] = []

    def is_told() -> bool:
        answers.append(node.post("/agent/apps/close", userId="7", appId="shop", fence=fence))
        return bool(answers[-1].json().get("reason") != "BUSY")

    eventually(is_told, 40, "closed")
    return answers[-1]


def test_close_ends_a_deploy_in_progress(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    with ThreadPoolExecutor() as pool:
        deploy = pool.submit(node.deploy, app_image("silent"), fence=1, readySeconds=60)
        eventually(lambda: "STARTED" in node.phases(), what="started")

        closed = close(node, 2)

        assert (closed.ok, closed.json()["serving"]) == (True, None)
        assert own_containers(engine, node) == []
        assert deploy.result().json()["reason"] == "STALE_FENCE"


def test_close_needs_a_fence_that_is_not_behind(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=5).ok

    without = node.post("/agent/apps/close", userId="7", appId="shop")
    behind = node.post("/agent/apps/close", userId="7", appId="shop", fence=4)

    assert (without.status_code, without.json()["evidence"]["field"]) == (422, "fence")
    assert (behind.status_code, behind.json()["reason"]) == (409, "STALE_FENCE")


def test_fences_tell_what_every_app_has_seen_and_serves(
    node: Node, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=4, jobId="job-4", release="r4").ok
    assert node.post("/agent/apps/close", userId="7", appId="other", fence=9).ok
    node.kill()
    node.start()

    told = {each["appId"]: each for each in node.ask("/agent/apps/fences").json()["fences"]}

    serving = {"jobId": "job-4", "fence": 4, "image": app_image("1"), "release": "r4"}
    assert told["shop"] == {"appId": "shop", "highestFence": 4, "serving": serving}
    assert told["other"] == {"appId": "other", "highestFence": 9, "serving": None}
