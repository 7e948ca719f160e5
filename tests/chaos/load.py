"""The clients: they create jobs, repeat what was not answered, and wait or hurry on."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING

import pymysql
import requests

from tests.chaos import images
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.cluster import Cluster
    from tests.chaos.plan import Plan, Request

_ANSWER_SECONDS = 12.0
_LONGEST_JOB_SECONDS = 180.0
_LOOK_SECONDS = 0.25
_RETRY_SECONDS = 0.3
_CONFLICT = 409


def resume(cluster: Cluster, app: str) -> None:
    """Let an app take jobs again, where it was paused."""
    url = f"{cluster.for_clients.url}/deploy/apps/resume"
    with contextlib.suppress(requests.RequestException):
        requests.post(url, json={"appId": app, "userId": 1}, headers=API, timeout=_ANSWER_SECONDS)


def resume_all(cluster: Cluster) -> None:
    """Do so for every app that has a job waiting for it."""
    query = (
        "SELECT DISTINCT app_id FROM fun_ai_deploy_job"
        " WHERE status = 'PENDING' AND reason_code = 'APP_PAUSED'"
    )
    with contextlib.suppress(pymysql.err.Error, OSError):
        for row in cluster.schema.rows(query):
            resume(cluster, str(row["app_id"]))


class Watch:
    """Knows which jobs have not ended, by asking the database itself."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._active: set[str] = set()
        self._round = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def wait_ended(self, job_id: str, seconds: float, given_up: threading.Event) -> bool:
        """Return whether a job that exists ended within the time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            seen = self._round
            while self._round < seen + 2 or job_id in self._active:
                if not self._changed.wait(1.0) and given_up.is_set():
                    return False
                if time.monotonic() > deadline:
                    return False
        return True

    def active(self) -> int:
        """Return how many jobs had not ended at a look that began after this call."""
        with self._changed:
            seen = self._round
            while self._round < seen + 2:
                if not self._changed.wait(20):
                    msg = "the database could not be asked for 20 s"
                    raise TimeoutError(msg)
            return len(self._active)

    def _run(self) -> None:
        query = "SELECT id FROM fun_ai_deploy_job WHERE status IN ('PENDING', 'RUNNING')"
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                active = {str(row["id"]) for row in self._cluster.schema.rows(query)}
            except (pymysql.err.Error, OSError):
                continue
            with self._changed:
                self._active, self._round = active, self._round + 1
                self._changed.notify_all()


class Load:
    """Runs a plan's requests with a number of clients; each app belongs to one client."""

    def __init__(self, cluster: Cluster, plan: Plan, watch: Watch, clients: int) -> None:
        self._cluster, self._watch = cluster, watch
        self._history = cluster.history
        self._count = itertools.count(1)
        self.acknowledged = 0
        self.given_up = threading.Event()
        #: Requests whose job did not end in time: the run cannot be judged as complete.
        self.late: list[int] = []
        shares: list[list[Request]] = [[] for _ in range(clients)]
        for request in plan.requests:
            shares[int(request.app.rpartition("-")[2]) % clients].append(request)
        self._threads = [
            threading.Thread(target=self._client, args=(share,), name="client", daemon=True)
            for share in shares
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _client(self, share: Iterable[Request]) -> None:
        for request in share:
            job_id = self._create(request)
            if job_id is None or self.given_up.is_set():
                return
            if request.hurried:
                self.given_up.wait(request.pause_seconds)
            elif not self._watch.wait_ended(job_id, _LONGEST_JOB_SECONDS, self.given_up):
                self.late.append(request.number)

    def _create(self, request: Request) -> str | None:
        """Create until there is an answer, always with the same key; return the job's id."""
        while not self.given_up.is_set():
            code, job_id = self._ask(request)
            self._history.add(
                "create", number=request.number, app=request.app, code=code, job=job_id
            )
            if code == 200 and job_id:
                self.acknowledged = next(self._count)
                return job_id
            if code == _CONFLICT:
                # Jobs that kill their runners pause their app; its owner looks, and goes on.
                resume(self._cluster, request.app)
            self.given_up.wait(_RETRY_SECONDS)
        return None

    def _ask(self, request: Request) -> tuple[int, str]:
        payload = {
            "appId": request.app,
            "userId": 1,
            "containerPort": 8080,
            "image": images.reference(request.app, request.number, request.word),
        }
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload, "onConflict": "supersede"}
        headers = {**API, "Idempotency-Key": f"chaos-{request.number}"}
        try:
            answer = requests.post(
                f"{self._cluster.for_clients.url}/deploy/jobs",
                json=body,
                headers=headers,
                timeout=_ANSWER_SECONDS,
            )
            content = answer.json()
        except (requests.RequestException, ValueError):
            return 0, ""
        data = content.get("data") if isinstance(content, dict) else None
        code = int(content.get("code", 0)) if isinstance(content, dict) else 0
        return code, str(data.get("id", "")) if isinstance(data, dict) else ""
