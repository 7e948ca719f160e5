"""The console as a person uses it, and the runner on the other side of Deploy."""

from __future__ import annotations

import html
import itertools
import re
import time
from typing import TYPE_CHECKING, Any

from tests.integration.deploy_process import API, RUNNER

if TYPE_CHECKING:
    import requests

    from tests.integration.api.process import ApiProcess, Browser

_NUMBERS = itertools.count(1)
IMAGE = "registry.test/team/shop:1"
COMMIT = "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345"
#: Longer than any test: nobody here sends heartbeats while a browser is waited for.
LEASE_SECONDS = 600


def words(page: requests.Response | str) -> str:
    """Return what a reader sees of a page, in one line."""
    text = page if isinstance(page, str) else page.text
    text = re.sub(r"(?s)<(svg|script|template)\b.*?</\1>", " ", text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def followed(browser: Browser, answer: requests.Response) -> requests.Response:
    """Return the page that a form leads to."""
    assert answer.status_code == 302, words(answer)
    return browser.get(answer.headers["Location"])


def new_app(browser: Browser, name: str = "") -> str:
    """Make an app with the form; return its id."""
    app_id = f"app-{next(_NUMBERS)}"
    answer = browser.submit("/?new=1", "/console/apps", appId=app_id, name=name)
    assert answer.status_code == 302, words(answer)
    return app_id


def deploy(browser: Browser, app_id: str, **fields: str) -> str:
    """Send the Deploy form; return the job's id."""
    page = f"/console/apps/{app_id}/deploy"
    answer = browser.submit(page, page, **(fields or {"kind": "image", "image": IMAGE}))
    assert answer.status_code == 302, words(answer)
    return answer.headers["Location"].rpartition("/")[2]


class Runner:
    """Takes jobs and tells of them, as runners do."""

    def __init__(self, api: ApiProcess) -> None:
        self.deploy = api.deploy

    def take(self, job_id: str) -> dict[str, Any]:
        self.deploy.beat()
        job = self.deploy.claimed(leaseSeconds=LEASE_SECONDS)
        assert job["id"] == job_id
        return job

    def phase(self, job: dict[str, Any], phase: str, message: str | None = None) -> None:
        body = {
            "runnerId": job["runnerId"],
            "fence": job["fence"],
            "phase": phase,
            "phaseMessage": message,
        }
        answer = self.deploy.call("POST", f"/deploy/jobs/{job['id']}/heartbeat", body, RUNNER)
        assert answer[1]["code"] == 200, answer

    def log(self, job: dict[str, Any], phase: str, *texts: str, offset: int = 0) -> None:
        lines = [{"t": int(time.time() * 1000), "p": phase, "m": text} for text in texts]
        body = {
            "runnerId": job["runnerId"],
            "fence": job["fence"],
            "offset": offset,
            "lines": lines,
        }
        answer = self.deploy.call("POST", f"/deploy/jobs/{job['id']}/logs", body, RUNNER)
        assert answer[1]["code"] == 200, answer

    def end(self, job: dict[str, Any], status: str = "SUCCEEDED", **extra: Any) -> None:
        answer = self.deploy.report(job, status, **extra)
        assert answer[1]["code"] == 200, answer

    def run(self, job_id: str, commit: str | None = None) -> None:
        """Let a job succeed."""
        job = self.take(job_id)
        result = {"image": IMAGE, "imageDigest": f"sha256:{1:064x}", "commit": commit}
        self.end(job, result=result)

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.deploy.call("GET", f"/deploy/jobs/{job_id}", None, API)[1]
        return found["data"]  # type: ignore[no-any-return]

    def settings(self, app_id: str) -> dict[str, Any]:
        path = f"/deploy/apps/{app_id}/settings"
        return self.deploy.call("GET", path, None, API)[1]["data"]  # type: ignore[no-any-return]
