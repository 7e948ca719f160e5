"""A small history in which every promise was kept; tests break one at a time."""

from __future__ import annotations

from typing import Any

from tests.chaos import images
from tests.chaos.final_state import FinalState, NodeState

IMAGE = images.reference("app-1", 1, "ok")
NEWER_IMAGE = images.reference("app-1", 2, "ok")
OLD = "127.31.0.2"
NEW = "127.31.0.3"


def change(t: float, job: str, old: str | None, new: str, **more: Any) -> dict[str, Any]:
    """Return one row of the audit."""
    row = {
        "t": t,
        "job_id": job,
        "app_id": "app-1",
        "old_status": old,
        "new_status": new,
        "fence": None,
        "attempt": 0,
        "image": IMAGE if job == "j1" else NEWER_IMAGE,
        "at": t,
        "lease": int((t + 6) * 1000) if new == "RUNNING" else None,
        "runner_id": "light-0",
    }
    return {**row, **more}


def container(
    t: float, what: str, job: str, fence: int, address: str, **more: Any
) -> dict[str, Any]:
    """Return what the engine writes down."""
    entry = {
        "t": t,
        "kind": f"container.{what}",
        "name": f"rt-app-1-{fence}",
        "address": address,
        "app": "app-1",
        "fence": fence,
        "job": job,
        "image": IMAGE if job == "j1" else NEWER_IMAGE,
    }
    return {**entry, **more}


def route(t: float, address: str) -> dict[str, Any]:
    value = f"{address}:8080/r1"
    return {
        "t": t,
        "kind": "route",
        "verb": "set",
        "app": "app-1",
        "route": value,
        "node": "node-1",
    }


def deploy_call(
    began: float, t: float, fence: int, what: str = "deploy", app: str = "app-1"
) -> dict[str, Any]:
    return {
        "t": t,
        "began": began,
        "kind": "call",
        "link": "agent node-1",
        "request": f"POST /agent/apps/{what}",
        "body": {"appId": app, "fence": fence},
        "status": 200,
        "code": None,
    }


def report(t: float, job: str, fence: int, status: str = "SUCCEEDED") -> dict[str, Any]:
    return {
        "t": t,
        "began": t,
        "kind": "call",
        "link": "runner",
        "request": f"POST /deploy/jobs/{job}/report",
        "body": {"status": status, "fence": fence},
        "status": 200,
        "code": 200,
    }


def create(t: float, number: int, job: str) -> dict[str, Any]:
    return {"t": t, "kind": "create", "number": number, "app": "app-1", "code": 200, "job": job}


def history() -> list[dict[str, Any]]:
    """Return two deploys of one app, one after the other."""
    return [
        create(1.0, 1, "j1"),
        container(2.0, "created", "j1", 1, OLD),
        container(2.1, "served", "j1", 1, OLD, gateway=False),
        route(2.2, OLD),
        container(2.3, "served", "j1", 1, OLD, gateway=True),
        deploy_call(1.9, 2.4, 1),
        report(2.9, "j1", 1),
        create(4.0, 2, "j2"),
        container(5.0, "created", "j2", 2, NEW),
        container(5.1, "served", "j2", 2, NEW, gateway=False),
        route(5.2, NEW),
        container(5.3, "served", "j2", 2, NEW, gateway=True),
        deploy_call(4.9, 5.4, 2),
        report(5.9, "j2", 2),
    ]


def final() -> FinalState:
    """Return what two good deploys leave."""
    jobs = [_job("j1", 1, IMAGE), _job("j2", 2, NEWER_IMAGE)]
    running = {
        "name": "rt-app-1-2",
        "address": f"{NEW}:8080",
        "running": True,
        "app": "app-1",
        "fence": 2,
        "job": "j2",
        "image": NEWER_IMAGE,
    }
    node = NodeState(
        routes={"app-1": f"{NEW}:8080/r2"},
        containers=[running],
        pages={"app-1": (200, "j2")},
        fences={"app-1": 2},
    )
    return FinalState(
        jobs=jobs,
        app_runs=[{"app_id": "app-1", "last_job_id": "j2", "last_job_status": "SUCCEEDED"}],
        apps=[{"app_id": "app-1", "fence": 2, "route_node_id": 1, "unconfirmed_job_id": None}],
        audit=[
            change(1.0, "j1", None, "PENDING"),
            change(1.5, "j1", "PENDING", "RUNNING", fence=1, attempt=1),
            change(2.8, "j1", "RUNNING", "SUCCEEDED", fence=1, attempt=1),
            change(4.0, "j2", None, "PENDING"),
            change(4.5, "j2", "PENDING", "RUNNING", fence=2, attempt=1),
            change(5.8, "j2", "RUNNING", "SUCCEEDED", fence=2, attempt=1),
        ],
        nodes={"node-1": node, "node-2": NodeState()},
    )


def _job(job_id: str, number: int, image: str) -> dict[str, Any]:
    return {
        "id": job_id,
        "app_id": "app-1",
        "status": "SUCCEEDED",
        "fence": number,
        "attempt": 1,
        "deploy_seq": number,
        "reason_code": None,
        "idempotency_key": f"chaos-{number}",
        "image": image,
    }
