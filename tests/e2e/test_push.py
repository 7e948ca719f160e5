"""A push becomes a new revision at the app's address, with nobody at the console; a program follows it."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import requests

from tests.e2e.conftest import variable
from tests.e2e.console import JOB_MS, answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.console import Console

SAMPLE_PORT = 3000
CALL = """async ([method, path, body]) => {
    const options = {method, headers: {"Content-Type": "application/json"}};
    if (body) options.body = JSON.stringify(body);
    return (await fetch(path, options)).json();
}"""


def call(console: Console, method: str, path: str, body: object = None) -> Any:
    """Call the API as the console's own pages may; return its data."""
    envelope = console.page.evaluate(CALL, [method, path, body])
    assert envelope["code"] == 200, envelope
    return envelope["data"]


def newest_commit(repository: str) -> str:
    """Return the commit that the repository's HEAD names."""
    listed = subprocess.run(
        ["git", "ls-remote", repository, "HEAD"],  # noqa: S607 - whichever git there is
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return listed.stdout.split()[0]


def push(address: str, secret: str, repository: str, commit: str) -> requests.Response:
    """Tell of a push as GitHub does."""
    told = {"ref": "refs/heads/main", "after": commit, "repository": {"clone_url": repository}}
    body = json.dumps(told).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    return requests.post(address, data=body, headers=headers, timeout=30)


def wait_for_end(console: Console, job_id: str) -> dict[str, Any]:
    """Ask for a job until it has ended."""
    deadline = time.monotonic() + JOB_MS / 1000
    pause = threading.Event()
    while True:
        job: dict[str, Any] = call(console, "GET", f"/api/v1/deploys/{job_id}")
        if job["status"] not in {"PENDING", "RUNNING"}:
            return job
        assert time.monotonic() < deadline, job
        pause.wait(0.5)


def test_a_push_is_deployed(console: Console, new_app_id: Callable[[str], str]) -> None:
    app_id, repository = new_app_id("pushed"), variable("FUNAI_SAMPLE_REPO")
    commit = newest_commit(repository)
    source = {"repoUrl": repository, "commit": "main", "containerPort": SAMPLE_PORT}
    first = call(console, "POST", f"/api/v1/apps/{app_id}/deploys", source)
    assert wait_for_end(console, first["id"])["status"] == "SUCCEEDED"
    call(console, "PUT", f"/api/v1/apps/{app_id}/settings", {"containerPort": SAMPLE_PORT})
    hook = call(console, "PUT", f"/api/v1/apps/{app_id}/hook", {"branch": "main"})

    assert push(hook["url"], "a wrong secret", repository, commit).status_code == 401
    answer = push(hook["url"], hook["secret"], repository, commit)

    assert answer.status_code == 200, answer.text
    ended = wait_for_end(console, answer.json()["data"]["job"]["id"])
    assert ended["status"] == "SUCCEEDED", ended["errorMessage"]
    assert ended["payload"]["commit"] == commit
    served = answer_of(ended["publicUrl"])
    assert served.status_code == 200
    assert served.headers["X-App-Release"] == f"r{ended['revision']}-{commit[:12]}"
    lines = call(console, "GET", f"/api/v1/deploys/{ended['id']}/log")["lines"]
    assert lines
