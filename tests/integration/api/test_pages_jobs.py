"""A job's page: its steps, its end in words, its log while it comes."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api.console import Runner, deploy, followed, new_app, words
from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy_process import ADMIN, API

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.integration.api.process import ApiProcess, Browser

GIT = {"kind": "git", "repoUrl": "https://git.test/team/shop.git"}
PARTS = ("", "/state.json", "/log.json", "/log.txt", "/log/stream")


def _events(answer: requests.Response) -> list[tuple[str, str, Any]]:
    """Return name, id and data of the events until the answer's end."""
    found, name, event_id = [], "", ""
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "id":
            event_id = value
        elif key == "data":
            found.append((name, event_id, json.loads(value)))
    return found


def _stream(browser: Browser, job_id: str, **arguments: Any) -> requests.Response:
    return browser.get(f"/console/jobs/{job_id}/log/stream", stream=True, **arguments)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_a_job_shows_its_steps_as_they_come(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job_id = deploy(bob, new_app(bob), **GIT)
    page, state = f"/console/jobs/{job_id}", f"/console/jobs/{job_id}/state.json"
    assert "Waiting in the queue : being done" in words(bob.get(page))
    job = runner.take(job_id)
    runner.phase(job, "CLONE")
    runner.phase(job, "BUILD", "step 4 of 9")
    said = words(bob.get(page))
    assert "Fetching the source : done" in said
    assert "Building the image : being done" in said
    assert "step 4 of 9" in said
    assert "Pushing the image : still to come" in said
    assert bob.get(state).json()["live"] is True
    runner.end(job)
    ended = bob.get(state).json()
    assert (ended["live"], ended["status"]) == (False, "SUCCEEDED")
    assert "It succeeded. Revision 1 serves." in words(ended["parts"]["outcome"])
    assert "still to come" not in words(ended["parts"]["progress"])


def test_a_failed_job_says_what_happened_and_what_to_do(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    job = runner.take(deploy(bob, app_id, **GIT))
    runner.phase(job, "BUILD")
    error = "RUN make exited with 2.\n<b>make: *** no rule</b>"
    runner.end(job, "FAILED", errorMessage=error, reason="BUILD_FAILED")
    page = bob.get(f"/console/jobs/{job['id']}")
    said = words(page)
    assert "It failed. The image could not be built. What to do:" in said
    assert "Correct the Dockerfile" in said
    assert "Building the image : failed" in said
    assert "&lt;b&gt;make: *** no rule&lt;/b&gt;" in page.text
    bob.session.headers["Accept-Language"] = "zh"
    assert "镜像构建失败" in words(bob.get(f"/console/jobs/{job['id']}"))
    assert "镜像构建失败" in words(bob.get(f"/console/apps/{app_id}/jobs"))


def test_a_phase_of_another_runner_is_shown_as_it_is(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    runner.phase(job, "<i>100%s</i>")
    page = bob.get(f"/console/jobs/{job['id']}")
    assert page.status_code == 200
    assert "&lt;i&gt;100%s&lt;/i&gt;" in page.text
    runner.end(job)


def test_a_job_is_cancelled(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job_id = deploy(bob, new_app(bob))
    page = f"/console/jobs/{job_id}"
    said = words(followed(bob, bob.submit(page, page + "/cancel")))
    assert "It was cancelled. cancelled by bob in the console" in said
    assert runner.job(job_id)["status"] == "CANCELLED"
    assert "The job is cancelled" in words(followed(bob, bob.submit(page, page + "/cancel")))


def test_cancelling_what_has_ended_says_so(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job_id = deploy(bob, new_app(bob))
    runner.run(job_id)
    page = f"/console/jobs/{job_id}"
    said = words(followed(bob, bob.submit(page, page + "/cancel")))
    assert f"Job {job_id} has ended already" in said


@pytest.mark.parametrize("part", PARTS)
def test_another_users_job_is_not_there(shared_api: ApiProcess, part: str) -> None:
    bob, eve, runner = shared_api.browser("bob"), shared_api.browser("eve"), Runner(shared_api)
    job_id = deploy(bob, new_app(bob))
    assert eve.get(f"/console/jobs/{job_id}{part}").status_code == 404
    assert eve.get(f"/console/jobs/no-such-job{part}").status_code == 404
    assert eve.submit("/", f"/console/jobs/{job_id}/cancel").status_code == 404
    assert shared_api.browser("ada").get(f"/console/jobs/{job_id}").status_code == 200
    runner.run(job_id)


def test_an_operator_sees_jobs_that_other_clients_made(shared_api: ApiProcess) -> None:
    runner = Runner(shared_api)
    job_id = shared_api.deploy.create("not-in-the-console")[1]["data"]["id"]
    assert "not-in-the-console" in words(shared_api.browser("ada").get(f"/console/jobs/{job_id}"))
    assert shared_api.browser("bob").get(f"/console/jobs/{job_id}").status_code == 404
    runner.run(job_id)


def test_a_log_comes_as_it_is_written_and_goes_on_from_where_it_was(
    shared_api: ApiProcess,
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    runner.log(job, "CLONE", "one", "two")
    with _stream(bob, job["id"]) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["X-Accel-Buffering"] == "no"
        seen: list[tuple[str, str, Any]] = []
        reader = threading.Thread(target=lambda: seen.extend(_events(answer)))
        reader.start()
        runner.log(job, "BUILD", "three", offset=2)
        runner.end(job)
        reader.join(60)
    texts = [line["text"] for name, _, data in seen if name == "lines" for line in data["lines"]]
    assert texts == ["one", "two", "three"]
    assert seen[-1][0] == "end"
    with _stream(bob, job["id"], headers={"Last-Event-ID": "2"}) as answer:
        later = _events(answer)
    assert [line["text"] for line in later[0][2]["lines"]] == ["three"]
    with _stream(bob, job["id"], params={"offset": "1"}) as answer:
        assert _events(answer)[0][2]["lines"][0]["text"] == "two"
    page = bob.get(f"/console/jobs/{job['id']}/log.json?offset=1").json()
    assert [line["text"] for line in page["lines"]] == ["two", "three"]
    assert page["ended"] is True


def test_a_whole_log_is_a_file(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    for first in range(0, 2500, 500):
        texts = [f"line {n}" for n in range(first, first + 500)]
        runner.log(job, "BUILD", *texts, offset=first)
    runner.end(job)
    answer = bob.get(f"/console/jobs/{job['id']}/log.txt")
    lines = answer.text.splitlines()
    assert len(lines) == 2500
    assert lines[2499].endswith("BUILD    line 2499")
    assert "attachment" in answer.headers["Content-Disposition"]


def test_followers_keep_half_of_the_threads_for_others_and_free_their_place(
    api: ApiProcess,
) -> None:
    api.stop()
    api.start(API_THREADS="4")
    bob, runner = api.browser("bob"), Runner(api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    open_ones = [_stream(bob, job["id"]) for _ in range(2)]
    assert [answer.status_code for answer in open_ones] == [200, 200]
    with _stream(bob, job["id"]) as refused:
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "2"
    assert bob.get(f"/console/jobs/{job['id']}").status_code == 200
    for answer in open_ones:
        answer.close()

    def has_place() -> bool:
        with _stream(api.browser("bob"), job["id"]) as answer:
            return answer.status_code == 200

    _until(has_place)
    runner.end(job)


def test_a_follower_does_not_hold_up_the_end_of_the_api_entry(api: ApiProcess) -> None:
    bob, runner = api.browser("bob"), Runner(api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    with _stream(bob, job["id"]) as answer:
        began = time.monotonic()
        api.stop()
        # gunicorn would wait ten seconds for it, and then cut it off in the middle.
        assert time.monotonic() - began < 10
        assert _events(answer) == []


def test_what_an_app_prints_comes_from_its_node(shared_api: ApiProcess) -> None:
    bob, eve, runner = shared_api.browser("bob"), shared_api.browser("eve"), Runner(shared_api)
    app_id = new_app(bob)
    agent = AgentStub()
    agent.log = "eins\nzwei ä\n".encode()
    try:
        runner.deploy.beat("node-with-agent", agentBaseUrl=agent.url, diskFreePct=99.0)
        runner.run(deploy(bob, app_id))
        log = f"/console/apps/{app_id}/log.txt"
        assert "What the app prints" in words(bob.get(f"/console/apps/{app_id}/log"))
        answer = bob.get(f"{log}?tail=7&download=1")
        assert answer.content == agent.log
        assert f'filename="{app_id}.log"' in answer.headers["Content-Disposition"]
        assert "tail=7" in agent.calls[-1][0]
        assert eve.get(log).status_code == 404
        # One who hangs up lets the node go. The end of the answer before is not that.
        assert agent.log_ended.wait(60)
        agent.hold.clear()
        agent.log_ended.clear()
        bob.get(f"{log}?follow=1", stream=True).close()
        assert agent.log_ended.wait(60)
    finally:
        agent.close()
        path = "/admin/runtime-nodes/set-enabled?name=node-with-agent&enabled=false"
        runner.deploy.call("POST", path, None, {**API, **ADMIN})


def test_an_app_without_a_node_has_no_log_yet(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    assert "No log yet" in words(bob.get(f"/console/apps/{app_id}/log"))
    assert bob.get(f"/console/apps/{app_id}/log.txt").status_code == 404
