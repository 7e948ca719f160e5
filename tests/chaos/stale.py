"""Stale actors: runners that lost their lease and callers with old fences, by the thousand.

Whatever they say is refused, and changes no row, no container and no route.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from tests.chaos import images
from tests.chaos.closing_checks import told_ends
from tests.chaos.history import read
from tests.chaos.processes import eventually
from tests.integration.deploy_process import API, RUNNER, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.cluster import Cluster

#: Numbers of the two requests that are made here.
_PROBES = (1_000_001, 1_000_002)
_CONFLICT = 409
#: Share of the calls to agents that come from a job that ended, where there is one.
_OF_ENDS = 0.5
_TABLES = ("job", "app", "app_run", "runtime_placement", "job_event", "revision", "route_version")


@dataclass(frozen=True)
class StaleResult:
    """One kind of stale actor."""

    what: str
    sent: int
    refused: int
    #: Rows, containers and routes that differ afterwards.
    changed: int


class StaleActors:
    """Speaks for runners of the past, against a cluster at rest."""

    def __init__(self, cluster: Cluster, times: int) -> None:
        self._cluster, self._times = cluster, times
        self._dice = random.Random(times)  # noqa: S311 - a plan, not a secret
        self._deployed = [
            (node, app, node.fences()[app])
            for node in cluster.nodes
            for app in sorted(node.routes())
        ]
        self._held: dict[str, Any] = {}
        self._expired: dict[str, Any] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        query = (
            "SELECT id, app_id, runner_id, fence, status FROM fun_ai_deploy_job"
            " WHERE fence IS NOT NULL AND runner_id IS NOT NULL"
        )
        self._jobs = cluster.schema.rows(query)
        self._fences = {
            row["app_id"]: row["fence"]
            for row in cluster.schema.rows("SELECT app_id, fence FROM fun_ai_deploy_app")
        }
        self._ended = self._fences_of_ends()

    def run(self) -> list[StaleResult]:
        """Try all kinds of stale actors; the cluster has no runners afterwards."""
        for runner in self._cluster.runners:
            runner.kill()
        self._held, self._expired = self._claimed_twice(), self._let_expire()
        try:
            return self._all()
        finally:
            self._end(self._held)
            self._end(self._expired)

    def _all(self) -> list[StaleResult]:
        kinds: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("heartbeat of a runner that lost its lease", self._heartbeat),
            ("report with another word or an older fence", self._report),
            ("deploy with a fence from before", self._deploy),
            ("stop with a fence from before", self._stop),
        )
        return [self._many(what, act) for what, act in kinds]

    def _many(self, what: str, act: Callable[[], bool]) -> StaleResult:
        before = self._everything()
        refused = sum(act() for _ in range(self._times))
        after = self._everything()
        changed = sum(before[key] != after[key] for key in before)
        return StaleResult(what, self._times, refused, changed)

    def _heartbeat(self) -> bool:
        """For a job that ended, with a fence from before, or after the lease ran out."""
        ended = self._dice.choice(self._jobs)
        older = {**self._held, "fence": self._held["fence"] - 1}
        job = self._dice.choice([ended, {**ended, "fence": None}, older, self._expired])
        body: dict[str, Any] = {"runnerId": job["runner_id"], "extendSeconds": 30}
        if job["fence"] is not None:
            body["fence"] = job["fence"]
        return self._tell_deploy(job["id"], "heartbeat", body) == _CONFLICT

    def _report(self) -> bool:
        """Another word on a job that ended, or a word with a fence from before."""
        job = self._dice.choice(self._jobs)
        other = "FAILED" if job["status"] == "SUCCEEDED" else "SUCCEEDED"
        words = [
            (job, job["fence"], other),
            (job, job["fence"] - 1, "SUCCEEDED"),
            (self._held, self._held["fence"] - 1, other),
        ]
        return self._say_end(*self._dice.choice(words)) == _CONFLICT

    def _say_end(self, job: dict[str, Any], fence: int, status: str) -> int:
        body = {"runnerId": job["runner_id"], "fence": fence, "status": status, "result": {}}
        return self._tell_deploy(job["id"], "report", body)

    def _tell_deploy(self, job_id: str, verb: str, body: dict[str, Any]) -> int:
        """Return the code of Deploy's answer."""
        url = f"{self._cluster.for_runners.url}/deploy/jobs/{job_id}/{verb}"
        answer = self._session.post(url, json=body, headers=RUNNER, timeout=20)
        return int(answer.json()["code"])

    def _claimed_twice(self) -> dict[str, Any]:
        """Return a job that its runner lost and has again: only the fence tells then from now."""
        self._create(_PROBES[0])
        first = self._claim("stale-1", 1)
        second = self._claim("stale-1", 600)
        assert second["id"] == first["id"], "another job was claimed than the one that was let go"
        return second

    def _let_expire(self) -> dict[str, Any]:
        """Return a job whose lease ran out and whom nobody else has claimed."""
        self._create(_PROBES[1])
        job = self._claim("stale-2", 1)
        query = "SELECT reason_code FROM fun_ai_deploy_job WHERE id = %s"
        eventually(
            lambda: self._cluster.schema.rows(query, job["id"])[0]["reason_code"],
            20,
            "the reaper noted that the lease ran out",
        )
        return job

    def _create(self, number: int) -> None:
        app = sorted(self._fences)[number % 2]
        image = images.reference(app, number, "ok")
        payload = {"appId": app, "userId": 1, "containerPort": 8080, "image": image}
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
        url = f"{self._cluster.for_clients.url}/deploy/jobs"
        answer = self._session.post(url, json=body, headers=API, timeout=20).json()
        assert answer["code"] == 200, answer

    def _claim(self, runner: str, seconds: int) -> dict[str, Any]:
        """Claim what there is; where a lease must run out first, this waits for that."""
        body = {"runnerId": runner, "leaseSeconds": seconds, "waitSeconds": 15}
        url = f"{self._cluster.for_runners.url}/deploy/jobs/claim"
        job = self._session.post(url, json=body, headers=RUNNER, timeout=30).json()["data"]
        assert job is not None, "there was nothing to claim"
        return {"id": job["id"], "runner_id": runner, "fence": job["fence"]}

    def _end(self, job: dict[str, Any]) -> None:
        # The runner that has it may end it, after all of the stale ones failed to.
        self._say_end(job, job["fence"], "FAILED")

    def _deploy(self) -> bool:
        more = {"image": "registry.test/chaos/stale:r0-ok", "containerPort": 8080}
        return self._tell_agent("deploy", more)

    def _stop(self) -> bool:
        return self._tell_agent("stop", {})

    def _tell_agent(self, verb: str, more: dict[str, Any]) -> bool:
        node, app, highest = self._dice.choice(self._deployed)
        fence = self._dice.randrange(1, highest) if highest > 1 else 0
        if app in self._ended and self._dice.random() < _OF_ENDS:
            fence = self._ended[app]
        body = {"userId": "1", "appId": app, "fence": fence, **more}
        url = f"http://127.0.0.1:{node.agent_port}/agent/apps/{verb}"
        headers = {"X-Runtime-Token": SECRETS["DEPLOY_RUNTIME_TOKEN"]}
        answer = self._session.post(url, json=body, headers=headers, timeout=20)
        return answer.status_code == _CONFLICT

    def _fences_of_ends(self) -> dict[str, int]:
        """Return the fences of apps' newest claims, where their jobs ended without success."""
        newest: dict[str, Any] = {}
        for job in self._jobs:
            if (
                job["fence"] > newest.get(job["app_id"], job)["fence"]
                or job["app_id"] not in newest
            ):
                newest[job["app_id"]] = job
        told = told_ends(read([self._cluster.history.path]))
        remembered = {(app, highest) for _, app, highest in self._deployed}
        return {
            app: job["fence"]
            for app, job in newest.items()
            if job["status"] in {"FAILED", "CANCELLED"}
            # An agent whose state file was lost knows of no end: that is not promised.
            and ((app, job["fence"] + 1) in remembered or (app, job["fence"] + 1) not in told)
        }

    def _everything(self) -> dict[str, str]:
        """Return a digest of every table, and each node's containers and routes."""
        found: dict[str, object] = {}
        for table in _TABLES:
            # When an agent or runner was last seen changes by itself; these tables do not.
            found[table] = self._cluster.schema.rows(f"SELECT * FROM fun_ai_deploy_{table}")
        for node in self._cluster.nodes:
            found[f"{node.name} routes"] = node.routes()
            found[f"{node.name} containers"] = json.loads(
                (node.folder / "engine.json").read_text()
            )["containers"]
        return {
            key: hashlib.sha256(repr(value).encode()).hexdigest() for key, value in found.items()
        }
