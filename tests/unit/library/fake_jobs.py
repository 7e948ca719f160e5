"""A Deploy of one app whose jobs end as soon as they are waited for."""

from __future__ import annotations

from typing import Any

JSONObject = dict[str, Any]


def job(status: str = "SUCCEEDED", **given: Any) -> JSONObject:
    """Return a job of app ``a1`` as the wire shows it; other keys go into its payload."""
    payload = {"appId": "a1", "image": "registry.example/a:1", "containerPort": 8080, **given}
    return {"id": "j0", "status": status, "payload": payload, "errorMessage": None}


class FakeDeploy:
    """Stands in for ``DeployClient`` and records what was written."""

    def __init__(self, *jobs: JSONObject, stopped: bool = False) -> None:
        self.jobs = list(jobs)
        self.stopped = stopped
        self.outcome = "SUCCEEDED"
        self.removal: JSONObject = {"runtime": {"success": True}}
        self.writes: list[str] = []

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        return list(self.jobs)

    def is_stopped(self, app_id: str) -> bool:
        return self.stopped

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
        return found

    def stop_app(self, app_id: str, user_id: int) -> JSONObject:
        self.writes.append("stop")
        self.stopped = True
        return {}

    def clean_up_app(self, app_id: str, user_id: int) -> JSONObject:
        self.writes.append("clean up")
        self.jobs.clear()
        return self.removal
