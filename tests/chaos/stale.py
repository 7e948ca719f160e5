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

from tests.integration.deploy_process import RUNNER, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.cluster import Cluster

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

    def run(self) -> list[StaleResult]:
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
        job = self._dice.choice(self._jobs)
        fence = self._dice.choice([job["fence"], job["fence"] - 1, None])
        body: dict[str, Any] = {"runnerId": job["runner_id"], "extendSeconds": 30}
        if fence is not None:
            body["fence"] = fence
        return self._tell_deploy(job["id"], "heartbeat", body)

    def _report(self) -> bool:
        job = self._dice.choice(self._jobs)
        other = "FAILED" if job["status"] == "SUCCEEDED" else "SUCCEEDED"
        fence, status = self._dice.choice(
            [(job["fence"], other), (job["fence"] - 1, job["status"])]
        )
        status = other if status == "CANCELLED" else status
        body = {"runnerId": job["runner_id"], "fence": fence, "status": status, "result": {}}
        return self._tell_deploy(job["id"], "report", body)

    def _tell_deploy(self, job_id: str, verb: str, body: dict[str, Any]) -> bool:
        url = f"{self._cluster.for_runners.url}/deploy/jobs/{job_id}/{verb}"
        answer = self._session.post(url, json=body, headers=RUNNER, timeout=20).json()
        return bool(answer["code"] == 409)

    def _deploy(self) -> bool:
        more = {"image": "registry.test/chaos/stale:r0-ok", "containerPort": 8080}
        return self._tell_agent("deploy", more)

    def _stop(self) -> bool:
        return self._tell_agent("stop", {})

    def _tell_agent(self, verb: str, more: dict[str, Any]) -> bool:
        node, app = self._dice.choice(
            [(node, app) for node in self._cluster.nodes for app in sorted(node.routes())]
        )
        fence = self._dice.randrange(0, node.fences()[app])
        body = {"userId": "1", "appId": app, "fence": fence, **more}
        url = f"http://127.0.0.1:{node.agent_port}/agent/apps/{verb}"
        headers = {"X-Runtime-Token": SECRETS["DEPLOY_RUNTIME_TOKEN"]}
        answer = self._session.post(url, json=body, headers=headers, timeout=20)
        return answer.status_code == 409

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
