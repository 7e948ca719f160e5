"""The database comes back from an old dump while nodes carry newer claims (F28)."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from tests.chaos import images
from tests.chaos.cluster import Cluster
from tests.chaos.history import History
from tests.chaos.parts import ROOT, copy_services
from tests.chaos.processes import eventually
from tests.chaos.series.control_plane import create_job, job_of
from tests.chaos.series.outcome import Outcome
from tests.integration.deploy_process import API, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.node import Node
    from tests.chaos.series.outcome import Options

_APPS = tuple(f"app-{number}" for number in range(6))
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
_JOB_SECONDS = 60.0
_SEEDED_SECONDS = 10.0
_CONFLICT = 409


def database_restores(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Restore again and again; after each the platform must go on as if nothing had been forgotten."""
    outcome = Outcome(
        "database-restores",
        "Database restored from an old dump: no fence is given twice, and Deploy says what serves",
        f"MariaDB (mariadb-dump, 1 to 3 deploys of each of {len(_APPS)} apps after it, restored), two"
        " Deploys, two nodes with real agents and HAProxy, an engine in memory",
    )
    history = History(folder / "history.jsonl")
    services = copy_services(ROOT / "services", folder)
    cluster = Cluster(folder, history, services=services, real_runners=0)
    trial = _Trial(cluster, random.Random(options.seed))  # noqa: S311 - a plan, no secret
    try:
        cluster.start()
        for number in range(1, options.rounds + 1):
            trial.round()
            say(f"{number} restores, {trial.stale} stale calls refused")
    finally:
        cluster.stop()
        history.close()
    trial.tell(outcome)
    return outcome


@dataclass(frozen=True)
class _Before:
    """What was true of an app when its database was taken back."""

    node: Node
    fence: int
    job: str


class _Trial:
    def __init__(self, cluster: Cluster, dice: random.Random) -> None:
        self._cluster, self._dice = cluster, dice
        self._numbers = iter(range(1, 10**9))
        self._jobs = 0
        self._rounds = 0
        self.stale = 0
        self._seeded: list[float] = []
        self._carried_out: list[str] = []
        self._unsaid: list[str] = []
        self._given_twice: list[str] = []
        self._failed: list[str] = []

    def round(self) -> None:
        """Dump, deploy, restore, and see what the platform makes of it."""
        schema = self._cluster.schema
        self._deploy_all()
        dump = schema.server.dump(schema.name)
        for _ in range(self._dice.randint(1, 3)):
            self._deploy_all()
        before = {app: self._state(app) for app in _APPS}
        for deploy in self._cluster.deploys:
            deploy.kill()
        schema.server.restore(schema.name, dump)
        began = time.monotonic()
        for deploy in self._cluster.deploys:
            deploy.start()
        eventually(
            lambda: all(self._fence(app) >= was.fence for app, was in before.items()),
            _JOB_SECONDS,
            "Deploy learned what the nodes have seen",
        )
        self._seeded.append(time.monotonic() - began)
        for app, was in before.items():
            self._look(app, was)
        self._deploy_all(before)
        self._rounds += 1

    def _look(self, app: str, was: _Before) -> None:
        url = f"{self._cluster.for_clients.url}/deploy/apps/{app}"
        said = requests.get(url, headers=API, timeout=10).json()["data"]
        if said["unconfirmedJobId"] != was.job:
            self._unsaid.append(f"{app} serves job {was.job}: {said['reason']}")
        for fence in range(max(1, was.fence - 3), was.fence):
            body = {
                "userId": "1",
                "appId": app,
                "fence": fence,
                "image": images.reference(app, 1, "ok"),
                "containerPort": 8080,
            }
            url = f"http://127.0.0.1:{was.node.agent_port}/agent/apps/deploy"
            token = {"X-Runtime-Token": SECRETS["DEPLOY_RUNTIME_TOKEN"]}
            if requests.post(url, json=body, headers=token, timeout=30).status_code == _CONFLICT:
                self.stale += 1
            else:
                self._carried_out.append(f"{app}: fence {fence}, seen {was.fence}")

    def _deploy_all(self, before: dict[str, _Before] | None = None) -> None:
        """Deploy every app once; each must succeed, with a fence that the node has not seen."""
        url = self._cluster.for_clients.url
        started = {app: create_job(url, self._payload(app)) for app in _APPS}
        for app, job_id in started.items():
            job = self._ended(job_id)
            self._jobs += 1
            if job["status"] != "SUCCEEDED":
                self._failed.append(f"{app}: {job['status']}, {job['errorMessage']}")
            if before is not None and job["fence"] <= before[app].fence:
                self._given_twice.append(f"{app}: fence {job['fence']} after {before[app].fence}")

    def _payload(self, app: str) -> dict[str, Any]:
        image = images.reference(app, next(self._numbers), "ok")
        return {"appId": app, "userId": 1, "containerPort": 8080, "image": image}

    def _ended(self, job_id: str) -> dict[str, Any]:
        url, found = self._cluster.for_clients.url, {}

        def is_over() -> bool:
            found.update(job_of(url, job_id))
            return found["status"] in _ENDED

        eventually(is_over, _JOB_SECONDS, f"the end of job {job_id}")
        return found

    def _state(self, app: str) -> _Before:
        node = next(node for node in self._cluster.nodes if app in node.routes())
        job = str(node.page(app)[1]["labels"]["io.funai.job"])
        return _Before(node, node.fences()[app], job)

    def _fence(self, app: str) -> int:
        query = "SELECT fence FROM fun_ai_deploy_app WHERE app_id = %s"
        rows = self._cluster.schema.rows(query, app)
        return int(rows[0]["fence"]) if rows else 0

    def tell(self, outcome: Outcome) -> None:
        """Write down what came of all rounds."""
        restores = f"{self._rounds} restores"
        looks = f"{restores} x {len(_APPS)} apps"
        outcome.most(
            "from Deploy's start until it knows of all claims",
            restores,
            self._seeded,
            _SEEDED_SECONDS,
        )
        outcome.count("apps of which Deploy does not say what serves", looks, len(self._unsaid))
        calls = f"{self.stale + len(self._carried_out)} calls with fences from before"
        outcome.count("stale calls carried out", calls, len(self._carried_out))
        outcome.count("fences given twice", looks, len(self._given_twice))
        outcome.count("deploys that failed", f"{self._jobs} deploys", len(self._failed))
        for found in (self._unsaid, self._carried_out, self._given_twice, self._failed):
            outcome.violations += found
