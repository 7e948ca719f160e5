"""The sample repository as an app of the platform: built, deployed, rolled back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.acceptance import edge

if TYPE_CHECKING:
    import requests
    from ansible.module_utils.deploy_client import DeployClient

    from tests.acceptance.live_platform import Platform

APP_ID = "acceptance-build"
USER_ID = 1
BUILD_SECONDS = 300
#: More than the sample's build prints.
LOG_LINES = 1000
TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Built:
    """A job that built the sample, the revision it made, and its log."""

    job: dict[str, Any]
    revision: dict[str, Any]
    log: list[dict[str, Any]]


class Builder:
    """Deploys the sample repository as the acceptance app."""

    def __init__(self, platform: Platform, client: DeployClient, http: requests.Session) -> None:
        self._platform = platform
        self._client = client
        self._http = http

    def build(self, *, rebuild: bool = False) -> Built:
        """Deploy the sample's commit; return what came of it.

        :param rebuild: build it also where the registry has it
        """
        settings = self._platform.settings
        payload = {
            "appId": APP_ID,
            "userId": USER_ID,
            "repoUrl": settings["acceptance_sample_repository"],
            "commit": settings["acceptance_sample_commit"],
            "containerPort": int(settings["acceptance_container_port"]),
            "healthPath": "/healthz",
            "rebuild": rebuild,
        }
        return self._run({"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True})

    def deploy(self, image: str) -> Built:
        """Deploy an image as the same app."""
        port = int(self._platform.settings["acceptance_container_port"])
        payload = {"appId": APP_ID, "userId": USER_ID, "image": image, "containerPort": port}
        return self._run({"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True})

    def roll_back(self, number: int) -> dict[str, Any]:
        """Go back to a revision; return the job that did."""
        job = self._client.rollback_app(APP_ID, number)
        return dict(self._client.wait_for_job(job["id"], BUILD_SECONDS))

    def app_release(self) -> str | None:
        """Return what the app's answer on the edge says it is."""
        url = f"{self._platform.edge_url}/apps/{APP_ID}/"
        answer = edge.ask(self._http, url, timeout=TIMEOUT)
        return answer.headers.get("X-App-Release") if answer.status_code == 200 else None

    def _run(self, body: dict[str, Any]) -> Built:
        created = self._client.create_job(body, uuid.uuid4().hex)
        job = dict(self._client.wait_for_job(created["id"], BUILD_SECONDS))
        log = self._client.job_log(job["id"], LOG_LINES)
        assert job["status"] == "SUCCEEDED", f"{job['errorMessage']}\n{log[-5:]}"
        return Built(job, self._client.revisions(APP_ID)[0], log)
