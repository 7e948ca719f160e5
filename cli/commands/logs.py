"""Logs of jobs and of apps: as they are, and while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli import times, words
from cli.commands.jobs import document as job_document
from cli.commands.jobs import seconds_taken, what
from cli.deploy_api import DeployApi
from cli.errors import CliError
from cli.following import Patience, follow_app, follow_job
from cli.options import identifier, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.deploy_api import Event
    from cli.platform import Platform
    from cli.view import View

_MOST_OF_JOB, _MOST_OF_APP = 1_000_000, 5000
_PAGE = 1000


def logs(platform: Platform, view: View, *, job: str | None, app: str | None, lines: str) -> int:
    """Show the newest lines of a job's or an app's log."""
    api = DeployApi(platform)
    job, app = _one_of(job, app)
    if job:
        _show_job(api, view, job, whole_number("--lines", lines, 0, _MOST_OF_JOB))
    elif app:
        count = whole_number("--lines", lines, 0, _MOST_OF_APP)
        with view.waiting(f"asks Deploy for the log of app {app}"):
            found = list(api.app_log(app, count, follow=False))
        if view.as_json:
            view.document({"version": 1, "appId": app, "lines": found})
        for line in () if view.as_json else found:
            view.line(line)
    return 0


def tail(platform: Platform, view: View, *, job: str | None, app: str | None, lines: str) -> int:
    """Follow a log; of a job until it ends: return 1 where it did not succeed."""
    api = DeployApi(platform)
    patience = Patience(view.note)
    job, app = _one_of(job, app)
    if job:
        return _follow_job(
            api, view, job, patience, whole_number("--lines", lines, 0, _MOST_OF_JOB)
        )
    if app:
        return _follow_app(
            api, view, app, patience, whole_number("--lines", lines, 0, _MOST_OF_APP)
        )
    return 0


def _one_of(job: str | None, app: str | None) -> tuple[str | None, str | None]:
    """Return the ids, of which one is None.

    :raises CliError: where both are given or none is
    """
    if bool(job) == bool(app):
        msg = "a log is that of a job or that of an app: give one of --job ID and --app ID"
        raise CliError(msg, "`fab jobs` and `fab apps` list the ids")
    return identifier("--job", job), identifier("--app", app)


def _show_job(api: DeployApi, view: View, job_id: str, count: int) -> None:
    with view.waiting(f"asks Deploy for the log of job {job_id}"):
        page = api.job_log(job_id, 0, limit=1)
        total, offset = page["total"], max(0, page["total"] - count)
        found: list[dict[str, Any]] = []
        while offset < total:
            page = api.job_log(job_id, offset, limit=_PAGE)
            found += page["lines"]
            if page["next"] <= offset:
                break
            offset = page["next"]
    if view.as_json:
        view.document(
            {
                "version": 1,
                "jobId": job_id,
                "status": page["status"],
                "ended": page["ended"],
                "total": page["total"],
                "dropped": page["dropped"],
                "lines": found[-count:] if count else [],
            }
        )
        return
    for line in found[-count:] if count else []:
        _write(view, line)
    if not page["ended"]:
        view.note(f"job {job_id} goes on: fab tail --job {job_id}")


def _write(view: View, line: dict[str, Any]) -> None:
    at = view.clock(times.from_iso(line["at"]))
    view.line((f"{at} {line['phase']:<8} ", words.QUIET), line["text"])


def _follow_job(api: DeployApi, view: View, job_id: str, patience: Patience, count: int) -> int:
    job = api.job(job_id)
    if job["status"] == "PENDING":
        view.note(f"job {job_id} waits: {what(job)}")
    offset = max(0, api.job_log(job_id, 0, limit=1)["total"] - count)
    events = follow_job(api, job_id, offset, patience)
    status = "PURGED"
    while (event := _next(events, view, f"job {job_id} goes on")) is not None:
        if event.name == "end":
            status = str(event.data["status"])
        elif view.as_json:
            _record(view, event)
        else:
            _say(view, event)
    return _end(api, view, job_id, status)


def _next(events: Iterator[Event], view: View, text: str) -> Event | None:
    with view.waiting(text):
        return next(events, None)


def _record(view: View, event: Event) -> None:
    if event.name == "gap":
        view.record({"event": "gap", **event.data})
    for line in event.data.get("lines", []):
        view.record({"event": "line", **line})


def _say(view: View, event: Event) -> None:
    if event.name == "gap":
        left_out = int(event.data["to"]) - int(event.data["from"])
        view.line((f"... {left_out} lines are not kept any more ...", words.BUSY))
    for line in event.data.get("lines", []):
        _write(view, line)


def _end(api: DeployApi, view: View, job_id: str, status: str) -> int:
    """Say how the job ended."""
    failed = 0 if status == "SUCCEEDED" else 1
    job = None if status == "PURGED" else api.job(job_id)
    if view.as_json:
        view.record({"event": "end", "status": status, "job": job and job_document(job)})
        return failed
    if job is None:
        view.line((f"job {job_id} was removed while it was followed", words.BAD))
        return failed
    word, style = words.job(status)
    took = seconds_taken(job)
    view.line("job ", job_id, " ", (word, style), f" after {times.duration(took)}" if took else "")
    if failed:
        view.line((job["errorMessage"] or job["reason"] or "no reason was given").strip())
    elif url := job["publicUrl"] or job["deployUrl"]:
        view.line(url)
    return failed


def _follow_app(api: DeployApi, view: View, app_id: str, patience: Patience, count: int) -> int:
    for line in follow_app(api, app_id, count, patience):
        if line is None:
            text = "the connection was away for long: lines may be missing here"
            if view.as_json:
                view.record({"event": "gap"})
            else:
                view.note(text)
        elif view.as_json:
            view.record({"event": "line", "text": line})
        else:
            view.line(line)
    view.note(f"app {app_id} is on no node any more")
    return 1
