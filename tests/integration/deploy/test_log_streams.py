"""Followers of logs: bounded, noticed when they hang up, sent home at the end of Deploy."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests

from tests.integration.deploy.test_job_logs import TIMEOUT, append, read, running, stream
from tests.integration.deploy_process import API, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

#: Below the ten seconds after which a silent follower gets its comment.
SOON_SECONDS = 9


def wait_until(holds: Callable[[], bool], seconds: float = SOON_SECONDS) -> None:
    """Wait until something holds; fail when it does not in time."""
    ends_at = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < ends_at
        pause.wait(0.05)


def test_silent_job_answers_at_once_and_its_end_ends_its_followers(deploy: DeployProcess) -> None:
    job = running(deploy)
    began = time.monotonic()

    with stream(deploy, job) as answer:
        seconds = time.monotonic() - began
        deploy.report(job, "FAILED", errorMessage="no")
        found = [(name, data) for name, _, data in read(answer)]

    assert seconds < SOON_SECONDS
    assert found == [("end", {"status": "FAILED"})]


def test_followers_are_bounded_and_a_place_comes_back_when_one_hangs_up(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_LOG_FOLLOWERS="1")
    job = running(deploy)
    url = f"{deploy.url}/deploy/jobs/{job['id']}/logs/stream"

    with stream(deploy, job):
        refused = requests.get(url, headers=API, timeout=TIMEOUT)
        page, _ = deploy.call("GET", f"/deploy/jobs/{job['id']}/logs", headers=API)

    def is_free() -> bool:
        with requests.get(url, headers=API, stream=True, timeout=TIMEOUT) as answer:
            return answer.status_code == 200

    assert refused.status_code == 503
    assert "DEPLOY_LOG_FOLLOWERS" in refused.json()["message"]
    assert int(refused.headers["Retry-After"]) > 0
    assert page == 200
    wait_until(is_free)


def test_end_of_deploy_sends_followers_home(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy()
    job = running(deploy)
    append(deploy, job, 0, ["x"])

    with stream(deploy, job) as answer:
        found = read(answer)
        first = next(found)
        began = time.monotonic()
        deploy.stop()
        rest = list(found)
        seconds = time.monotonic() - began

    assert first[:2] == ("lines", "1")
    # No end: the job goes on, and the follower comes back with its last id.
    assert rest == []
    assert seconds < SOON_SECONDS


def test_followers_of_several_jobs_see_what_another_process_took(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    followed, other = start_deploy(), start_deploy()
    followed.beat()
    jobs = []
    for app_id in ("app-1", "app-2", "app-3"):
        followed.create(app_id)
        jobs.append(followed.claimed())

    with stream(followed, jobs[0]) as one, stream(followed, jobs[1]), stream(followed, jobs[2]):
        began = time.monotonic()
        append(other, jobs[0], 0, ["x"])
        name, _, data = next(read(one))
        seconds = time.monotonic() - began

    assert (name, data["lines"][0]["text"]) == ("lines", "x")
    assert seconds < SOON_SECONDS
