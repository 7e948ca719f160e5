"""What waits for a runner and why, and what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, render_template

from funai.api import access
from funai.api.web import reading
from funai.api.web.moments import now_ms

if TYPE_CHECKING:
    from funai.api.accounts.model import Account
    from funai.api.parts import Parts

_MOST = 200


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the page."""
    blueprint = Blueprint("queue", __name__, url_prefix="/console")

    @blueprint.get("/queue")
    @access.signed_in
    def queue() -> str:
        return render_template("queue.html", **_read(parts, access.account()))

    @blueprint.get("/queue/state.json")
    @access.signed_in
    def state() -> dict[str, Any]:
        found = render_template("parts/queue.html", **_read(parts, access.account()))
        return {"live": True, "now": now_ms(), "parts": {"queue": found}}

    return blueprint


def _read(parts: Parts, account: Account) -> dict[str, Any]:
    """Return all jobs that have not ended; of other people's no more than that there are some."""
    jobs = parts.deploy.get("/deploy/jobs", status="PENDING,RUNNING", limit=_MOST)
    names = parts.apps.names(account, {job["appId"] for job in jobs})
    rows = [_row(job, names, account) for job in jobs]
    # Oldest first: who waits longest comes next.
    rows.sort(key=lambda row: row["createdAt"])
    return {
        "running": [row for row in rows if row["status"] == "RUNNING"],
        "waiting": [row for row in rows if row["status"] == "PENDING"],
        "most": _MOST,
        "is_cut": len(jobs) == _MOST,
    }


def _row(job: dict[str, Any], names: dict[str, str], account: Account) -> dict[str, Any]:
    row = {
        name: job.get(name) for name in ("status", "createdAt", "startedAt", "phase", "reasonCode")
    }
    if job["appId"] not in names and not account.is_operator:
        return {**row, "is_own": False}
    return {
        **row,
        "is_own": True,
        "id": job["id"],
        "app_id": job["appId"],
        "name": names.get(job["appId"], job["appId"]),
        "reason": job.get("reason"),
        "runner": job.get("runnerId"),
        "source": reading.source_line(job.get("payload") or {}),
    }
