"""The newest jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli import times, words
from cli.deploy_api import DeployApi
from cli.options import identifier, whole_number

if TYPE_CHECKING:
    from cli.platform import Platform
    from cli.view import View

_MOST = 200
_COLUMNS = ("job", "app", "status", "made", "took", "node", "what")
_MAX_TEXT = 160


def jobs(platform: Platform, view: View, *, app: str | None, limit: str) -> int:
    """Show the newest jobs, of one app or of all."""
    count = whole_number("--limit", limit, 1, _MOST)
    with view.waiting("asks Deploy for its jobs"):
        found = DeployApi(platform).jobs(count, identifier("--app", app))
    if view.as_json:
        at = times.iso(view.now)
        view.document({"version": 1, "at": at, "jobs": [document(job) for job in found]})
        return 0
    if not found:
        view.note(f"There is no job of app {app}." if app else "There is no job yet.")
        return 0
    view.table(_COLUMNS, [_row(job, view) for job in found])
    return 0


def seconds_taken(job: dict[str, Any]) -> float | None:
    """Return how long a job that ended ran, from its first claim on."""
    began, ended = times.from_iso(job["startedAt"]), times.from_iso(job["endedAt"])
    return None if began is None or ended is None else (ended - began).total_seconds()


def document(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job for scripts."""
    node = job["runtimeNode"]
    return {
        "id": job["id"],
        "appId": job["appId"],
        "status": job["status"],
        "phase": job["phase"],
        "reasonCode": job["reasonCode"],
        "reason": job["reason"],
        "errorMessage": job["errorMessage"],
        "attempt": job["attempt"],
        "revision": job["revision"],
        "node": node and node["name"],
        "runnerId": job["runnerId"],
        "createdAt": job["createdAt"],
        "startedAt": job["startedAt"],
        "endedAt": job["endedAt"],
        "seconds": seconds_taken(job),
        "url": job["publicUrl"] or job["deployUrl"],
    }


def _row(job: dict[str, Any], view: View) -> tuple[str | tuple[str, str], ...]:
    took, began = seconds_taken(job), times.from_iso(job["startedAt"])
    if took is None and began is not None:
        took = (view.now - began).total_seconds()
    node = job["runtimeNode"]
    return (
        job["id"],
        job["appId"] or "-",
        words.job(job["status"]),
        view.when(times.from_iso(job["createdAt"])),
        "-" if took is None else times.duration(max(took, 0)),
        node["name"] if node else "-",
        what(job),
    )


def what(job: dict[str, Any]) -> str:
    """Say in one line what a job does or why it ended as it did."""
    if job["status"] == "PENDING":
        return job["reason"] or job["reasonCode"] or "waits"
    if job["status"] == "RUNNING":
        attempt = f", attempt {job['attempt']}" if job["attempt"] > 1 else ""
        return f"{job['phase'] or 'claimed'}{attempt}: {job['phaseMessage'] or job['runnerId']}"
    if job["status"] == "SUCCEEDED":
        return f"revision {job['revision']}" if job["revision"] else ""
    text = (job["errorMessage"] or job["reason"] or job["reasonCode"] or "").strip()
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= _MAX_TEXT else first[: _MAX_TEXT - 1] + "…"
