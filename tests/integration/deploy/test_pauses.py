"""An app whose jobs end their runners is paused, and says so, until somebody resumes it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tests.integration.deploy_process import API, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

APP = "20002"
WAIT_SECONDS = 30


def job(deploy: DeployProcess, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = deploy.call("GET", f"/deploy/jobs/{job_id}", None, API)[1]["data"]
    return found


def wait_for(deploy: DeployProcess, job_id: str, key: str, value: str) -> dict[str, Any]:
    deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
    while (found := job(deploy, job_id))[key] != value:
        assert time.monotonic() < deadline, found
        pause.wait(0.05)
    return found


def lose_runner(deploy: DeployProcess) -> None:
    """Let the RUNNING job be one whose last attempt ended without a word."""
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_job SET attempt = 3, lease_expire_at = 1 WHERE status = 'RUNNING'"
    )


def crash(deploy: DeployProcess) -> str:
    created = deploy.create(APP)[1]["data"]
    job_id: str = created["id"]
    deploy.claimed()
    lose_runner(deploy)
    assert wait_for(deploy, job_id, "status", "FAILED")["reasonCode"] == "LEASE_EXHAUSTED"
    return job_id


def standing(deploy: DeployProcess) -> dict[str, Any]:
    found: dict[str, Any] = deploy.call("GET", f"/deploy/apps/{APP}", None, API)[1]["data"]
    return found


def resume(deploy: DeployProcess, app_id: str = APP) -> tuple[int, dict[str, Any]]:
    body = {"userId": 1, "appId": app_id}
    return deploy.call("POST", "/deploy/apps/resume", body, API)


def test_three_crashes_pause_the_app_until_it_is_resumed(deploy: DeployProcess) -> None:
    deploy.beat()
    crash(deploy)
    crash(deploy)
    assert standing(deploy)["paused"] is False
    newest = crash(deploy)

    status, refused = deploy.create(APP)

    assert status == 409
    for part in (APP, newest, "3 jobs", "paused since 20", "POST /deploy/apps/resume"):
        assert part in refused["message"], part
    shown = standing(deploy)
    assert (shown["paused"], shown["pauseReason"]) == (True, refused["message"])
    assert shown["pausedAt"]
    assert deploy.create("another")[0] == 200
    assert resume(deploy)[1]["data"] == {
        "appId": APP, "userId": 1, "resumed": True, "paused": False,
    }  # fmt: skip
    assert resume(deploy)[1]["data"]["resumed"] is False
    assert standing(deploy)["pauseReason"] is None
    # The count began anew.
    deploy.report(deploy.claimed(), "SUCCEEDED")
    crash(deploy)
    assert standing(deploy)["paused"] is False


def test_reports_count_for_nothing_and_a_success_begins_anew(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_PAUSE_AFTER_CRASHES="2")
    deploy.beat()
    for _ in range(3):
        deploy.create(APP)
        deploy.report(deploy.claimed(), "FAILED", errorMessage="the build failed")
    crash(deploy)
    deploy.create(APP)
    deploy.report(deploy.claimed(), "SUCCEEDED")
    crash(deploy)
    assert standing(deploy)["paused"] is False

    crash(deploy)

    assert standing(deploy)["paused"] is True


def test_what_waits_for_a_paused_app_says_why_and_goes_on_after(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_PAUSE_AFTER_CRASHES="1")
    deploy.beat()
    running = deploy.create(APP)[1]["data"]["id"]
    deploy.claimed()
    # As an operator's hand might leave it: a job that waits, though the running one is not superseded.
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, create_time,"
        " update_time, version, deploy_seq, attempt) SELECT 'waits', type, app_id, 'PENDING',"
        " payload_json, create_time, update_time, 0, 99, 0 FROM fun_ai_deploy_job"
    )
    lose_runner(deploy)
    wait_for(deploy, running, "status", "FAILED")

    waiting = wait_for(deploy, "waits", "reasonCode", "APP_PAUSED")

    assert "POST /deploy/apps/resume" in waiting["reason"]
    assert deploy.claim()[1]["data"] is None
    resume(deploy)
    assert deploy.claimed(waitSeconds=10)["id"] == "waits"


def test_resuming_an_app_that_nobody_knows_is_refused(deploy: DeployProcess) -> None:
    status, answer = resume(deploy, "never-seen")

    assert status == 404
    assert "never-seen" in answer["message"]
