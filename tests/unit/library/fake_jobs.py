"""A Deploy of one app whose jobs end as soon as they are waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

JSONObject = dict[str, Any]


def job(status: str = "SUCCEEDED", **given: Any) -> JSONObject:
    """Return a job of app ``a1`` as the wire shows it; other keys go into its payload."""
    payload = {"appId": "a1", "image": "registry.example/a:1", "containerPort": 8080, **given}
    return {"id": "j0", "status": status, "payload": payload, "errorMessage": None}


def revision(number: int, state: str = "SUPERSEDED", **given: Any) -> JSONObject:
    """Return a revision of app ``a1`` as the wire shows it."""
    return {
        "number": number,
        "state": state,
        "image": "registry.example/a:1",
        "repoUrl": None,
        "commit": None,
        "commitRef": None,
        "config": {"containerPort": 8080},
        **given,
    }


class FakeDeploy:
    """Stands in for ``DeployClient`` and records what was written."""

    def __init__(
        self, *jobs: JSONObject, stopped: bool = False, revisions: Sequence[JSONObject] = ()
    ) -> None:
        self.jobs = list(jobs)
        self.kept = list(revisions)
        self.stopped = stopped
        self.outcome = "SUCCEEDED"
        self.removal: JSONObject = {"runtime": {"success": True}}
        self.writes: list[str] = []

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        return list(self.jobs)

    def app(self, app_id: str) -> JSONObject | None:
        if not self.jobs and not self.kept:
            return None
        return {"lastJobStatus": "STOPPED" if self.stopped else "SUCCEEDED"}

    def revisions(self, app_id: str) -> list[JSONObject]:
        return list(self.kept)

    def rollback_app(self, app_id: str, revision: int, reason: str | None = None) -> JSONObject:
        payload = {"image": f"registry.example/a@sha256:{revision}", "rollbackTo": revision}
        created = self.create_job({"payload": payload, "supersede": True}, None)
        self.writes[-1] = f"roll back to {revision}"
        return created

    def create_job(self, body: JSONObject, key: str | None) -> JSONObject:
        self.writes.append("create")
        for other in self.jobs:
            if body.get("supersede") and other["status"] in {"PENDING", "RUNNING"}:
                other["status"] = "CANCELLED"
        created = {
            "id": f"j{len(self.jobs) + 1}",
            "status": "PENDING",
            "payload": body["payload"],
            "idempotencyKey": key,
        }
        self.jobs.insert(0, created)
        return created

    def wait_for_job(self, job_id: str, timeout: float) -> JSONObject:
        found = next(item for item in self.jobs if item["id"] == job_id)
        if found["status"] in {"PENDING", "RUNNING"}:
            found.update(status=self.outcome, errorMessage="never ready")
            self.stopped = False
            if self.outcome == "SUCCEEDED":
                self._activate(found)
        return found

    def _activate(self, ended: JSONObject) -> None:
        payload = ended["payload"]
        for item in self.kept:
            item["state"] = item["state"].replace("ACTIVE", "SUPERSEDED")
        for item in self.kept:
            if item["number"] == payload.get("rollbackTo"):
                item["state"] = "ACTIVE"
                ended["revision"] = item["number"]
                return
        made = {key: payload[key] for key in ("image", "repoUrl") if key in payload}
        read_by_apps = ("containerPort", "healthPath")
        ended["revision"] = len(self.kept) + 1
        self.kept.insert(
            0,
            revision(
                ended["revision"],
                "ACTIVE",
                **made,
                commitRef=payload.get("commit"),
                config={key: payload[key] for key in read_by_apps if key in payload},
                jobId=ended["id"],
            ),
        )

    def stop_app(self, app_id: str, user_id: int) -> JSONObject:
        self.writes.append("stop")
        self.stopped = True
        return {}

    def clean_up_app(self, app_id: str, user_id: int) -> JSONObject:
        self.writes.append("clean up")
        self.jobs.clear()
        self.kept.clear()
        return self.removal
