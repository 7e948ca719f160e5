"""Deploy the demo app as any caller of the platform would, through Deploy's API."""

from __future__ import annotations

import time
import typing as t

import requests

from lab import demo, health, identity
from lab.process import LabError, wait_until

APP_ID = "demo"
USER_ID = 1
URL = f"{health.EDGE_URL}/apps/{APP_ID}/"
_DEPLOY_SECONDS = 180
_NODE_SECONDS = 60
_EDGE_SECONDS = 15
_TIMEOUT_SECONDS = 10
_OK = 200
_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


class Caller:
    """Speaks to Deploy with the lab's secrets."""

    def __init__(self) -> None:
        self._http = health.session()
        self._http.headers["X-DEPLOY-SECRET"] = identity.secret("deploy_secret")
        self._http.headers["X-Admin-Token"] = identity.secret("admin_token")

    def call(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> t.Any:  # noqa: ANN401 - JSON
        """Return the data of Deploy's answer; raise when it refused."""
        url = f"{health.DEPLOY_URL}{path}"
        try:
            answer = self._http.request(method, url, json=body, timeout=_TIMEOUT_SECONDS)
            envelope = answer.json()
        except (requests.RequestException, ValueError) as error:
            message = f"{method} {url}: {error}"
            raise LabError(message, host="deploy-01") from error
        if envelope.get("code") != _OK:
            message = f"{method} {path} answered {envelope.get('code')}: {envelope.get('message')}"
            raise LabError(message, host="deploy-01")
        return envelope["data"]


def page_release() -> str | None:
    """Return the release that the public URL shows; None when it does not answer 200."""
    try:
        with health.session() as client:
            answer = client.get(URL, timeout=_TIMEOUT_SECONDS)
    except requests.RequestException:
        return None
    return answer.headers.get("X-Demo-Release") if answer.status_code == _OK else None


def ensure_live(*, image_is_new: bool) -> str:
    """Deploy the demo image unless it is live already; return what was done."""
    caller = Caller()
    jobs = caller.call("GET", f"/deploy/jobs/by-app?appId={APP_ID}&limit=1")
    live = jobs and jobs[0]["status"] == "SUCCEEDED"
    same = live and jobs[0]["payload"].get("image") == demo.DEMO_IMAGE
    if same and not image_is_new and page_release() is not None:
        return "is live"
    _wait_for_node(caller)
    started = time.monotonic()
    if jobs and jobs[0]["status"] not in _ENDED:
        # One that an earlier run left behind: an app has one active job.
        job = jobs[0]
    else:
        body = {"type": "BUILD_AND_DEPLOY", "payload": _payload()}
        job = caller.call("POST", "/deploy/jobs", body)
    _wait_for_success(caller, job["id"])
    if not wait_until(lambda: page_release() is not None, seconds=_EDGE_SECONDS):
        message = f"the job succeeded, but {URL} does not answer 200"
        raise LabError(message, host="api-01")
    return f"job {job['id']} SUCCEEDED, URL answers after {time.monotonic() - started:.1f} s"


def _payload() -> dict[str, t.Any]:
    return {
        "appId": APP_ID,
        "userId": USER_ID,
        "image": demo.DEMO_IMAGE,
        "containerPort": demo.DEMO_PORT,
        "basePath": f"/apps/{APP_ID}",
    }


def _wait_for_node(caller: Caller) -> None:
    """Wait for the first heartbeat of a runtime node."""

    def healthy() -> bool:
        nodes = caller.call("GET", "/admin/runtime-nodes/list")
        return any(node["health"] == "HEALTHY" for node in nodes)

    if not wait_until(healthy, seconds=_NODE_SECONDS):
        message = f"no runtime node is HEALTHY after {_NODE_SECONDS} s: ./dev logs runtime"
        raise LabError(message, host="runtime-01")


def _wait_for_success(caller: Caller, job_id: str) -> None:
    job: dict[str, t.Any] = {}

    def ended() -> bool:
        job.update(caller.call("GET", f"/deploy/jobs/{job_id}"))
        return job["status"] in _ENDED

    if not wait_until(ended, seconds=_DEPLOY_SECONDS):
        why = f" ({job['reason']})" if job.get("reason") else ""
        message = (
            f"job {job_id} is still {job['status']} after {_DEPLOY_SECONDS} s{why}:"
            " ./dev logs runner"
        )
        raise LabError(message, host="runner-01")
    if job["status"] != "SUCCEEDED":
        message = f"job {job_id} is {job['status']}: {job['errorMessage']}"
        raise LabError(message, host="runner-01")
