"""What every benchmark does as a caller of the platform."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.live_platform import Platform

USER_ID = 1
TIMEOUT = 10  # seconds
JOB_SECONDS = 120
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
#: How often a URL or a job is looked at; half of it is the measuring error of a duration.
POLL_SECONDS = 0.01
RELEASE_HEADER = "X-Demo-Release"


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once the condition holds.

    :raises BenchError: where it does not within that many seconds
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            msg = f"{what}: not within {seconds:g} s"
            raise BenchError(msg)
        pause.wait(POLL_SECONDS)


class Caller:
    """Deploys one app over kept-alive connections, and removes it at the end."""

    def __init__(self, platform: Platform, app_id: str) -> None:
        self.app_id = app_id
        self.images = [
            str(platform.settings["acceptance_image"]),
            str(platform.settings["acceptance_next_image"]),
        ]
        self.public_url = f"{platform.edge_url}/apps/{app_id}/"
        self._port = int(platform.settings["acceptance_container_port"])
        self._deploy_url = platform.deploy_url
        self._api = requests.Session()
        self._api.trust_env = False
        self._api.headers["X-DEPLOY-SECRET"] = platform.credential("deploy_secret")
        self._public = requests.Session()
        self._public.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._call("POST", "/deploy/apps/cleanup", {"userId": USER_ID, "appId": self.app_id})
        self._api.close()
        self._public.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._api.request(method, self._deploy_url + path, json=body, timeout=TIMEOUT)
        envelope = answer.json()
        if envelope["code"] != requests.codes.ok:
            msg = f"{method} {path} answered {envelope['code']}: {envelope['message']}"
            raise BenchError(msg)
        return envelope["data"]

    def create(self, image: str) -> str:
        """Create a job that brings the app to the image; return its id."""
        payload = {
            "appId": self.app_id,
            "userId": USER_ID,
            "image": image,
            "containerPort": self._port,
        }
        job = self._call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})
        return str(job["id"])

    def wait_for_end(self, job_id: str) -> dict[str, Any]:
        """Return the job once it has ended.

        :raises BenchError: where it did not succeed
        """
        job: dict[str, Any] = {}

        def ended() -> bool:
            job.update(self._call("GET", f"/deploy/jobs/{job_id}"))
            return job["status"] in ENDED

        wait_until(ended, JOB_SECONDS, f"end of job {job_id}")
        if job["status"] != "SUCCEEDED":
            msg = f"job {job_id} is {job['status']}: {job['errorMessage']}"
            raise BenchError(msg)
        return job

    def deploy(self, image: str) -> dict[str, Any]:
        """Bring the app to the image and return the job that did."""
        return self.wait_for_end(self.create(image))

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return what happened to the job, oldest first."""
        return list(self._call("GET", f"/deploy/jobs/{job_id}/events"))

    def release(self) -> str | None:
        """Return the release that the public URL serves; None where it does not answer 200."""
        answer = self._public.get(self.public_url, timeout=TIMEOUT)
        return answer.headers.get(RELEASE_HEADER) if answer.status_code == 200 else None
