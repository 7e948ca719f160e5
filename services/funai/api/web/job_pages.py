"""A job: its steps, its log while it comes and as a file, and cancelling it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request

from funai.api import access
from funai.api.deploy_client import part
from funai.api.web import reading
from funai.api.web.acting import act
from funai.api.web.language import later, translate
from funai.api.web.moments import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts
    from funai.api.web.following import Followers

_PAGE_LINES = 1000
_MAX_OFFSET = 2**53


def create_blueprint(parts: Parts, followers: Followers) -> Blueprint:
    """Return the pages under ``/console/jobs``."""
    blueprint = Blueprint("job_pages", __name__, url_prefix="/console/jobs")

    def find(job_id: str) -> tuple[dict[str, Any], Any]:
        return reading.job_of(parts, access.account(), job_id)

    @blueprint.get("/<string:job_id>")
    @access.signed_in
    def page(job_id: str) -> str:
        shown = reading.show(parts, *find(job_id))
        return render_template("job.html", shown=shown, app=shown.app, log_texts=log_texts())

    @blueprint.get("/<string:job_id>/state.json")
    @access.signed_in
    def state(job_id: str) -> dict[str, Any]:
        shown = reading.show(parts, *find(job_id))
        return {
            "live": shown.is_live,
            "now": now_ms(),
            "status": shown.job["status"],
            "parts": {
                "badge": render_template("parts/job_badge.html", shown=shown),
                "outcome": render_template("parts/job_outcome.html", shown=shown),
                "progress": render_template("parts/job_progress.html", shown=shown),
            },
        }

    @blueprint.post("/<string:job_id>/cancel")
    @access.signed_in
    def cancel(job_id: str) -> ResponseReturnValue:
        find(job_id)
        reason = f"cancelled by {access.account().name} in the console"
        return act(
            lambda: parts.deploy.post(f"/deploy/jobs/{part(job_id)}/cancel", {"reason": reason}),
            translate("The job is cancelled. What ran before goes on."),
            f"/console/jobs/{part(job_id)}",
        )

    _add_logs(blueprint, parts, followers)
    return blueprint


def _add_logs(blueprint: Blueprint, parts: Parts, followers: Followers) -> None:
    def read(job_id: str, offset: int) -> dict[str, Any]:
        found: dict[str, Any] = parts.deploy.get(
            f"/deploy/jobs/{part(job_id)}/logs", offset=offset, limit=_PAGE_LINES
        )
        return found

    @blueprint.get("/<string:job_id>/log.json")
    @access.signed_in
    def lines(job_id: str) -> dict[str, Any]:
        reading.job_of(parts, access.account(), job_id)
        return read(job_id, _offset(request.args.get("offset")))

    @blueprint.get("/<string:job_id>/log.txt")
    @access.signed_in
    def text(job_id: str) -> Response:
        job, app = reading.job_of(parts, access.account(), job_id)
        # The first page before the answer begins: what goes wrong is then still told as an error.
        first = read(job_id, 0)
        response = Response(
            _text(lambda offset: read(job_id, offset), first), mimetype="text/plain"
        )
        name = f"{app.app_id}-{job['id'][:8]}.log"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @blueprint.get("/<string:job_id>/log/stream")
    @access.signed_in
    def stream(job_id: str) -> Response:
        reading.job_of(parts, access.account(), job_id)
        last = request.headers.get("Last-Event-ID", "")
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        offset = _offset(request.args.get("offset"))
        path = f"/deploy/jobs/{part(job_id)}/logs/stream"
        return followers.pass_on(path, "text/event-stream", headers, offset=offset)


def log_texts() -> dict[str, Any]:
    """Return what the viewer of a log says."""
    return {name: translate(text) for name, text in _TEXTS.items()}


def _offset(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 17  # noqa: PLR2004 - digits
    return min(int(text or 0), _MAX_OFFSET) if is_number else 0


def _text(read: Any, page: dict[str, Any]) -> Iterator[str]:  # noqa: ANN401 - a function
    offset = 0
    while page["lines"]:
        first = page["lines"][0]["n"]
        if first > offset:
            yield f"[{first - offset} lines were left out: the log is too long]\n"
        yield "".join(f"{line['at']} {line['phase']:<8} {line['text']}\n" for line in page["lines"])
        offset = page["next"]
        page = read(offset)


_TEXTS = {
    "connecting": later("Connecting…"),
    "live": later("Live"),
    "polling": later("Live, by asking every few seconds"),
    "lost": later("Connection lost; trying again…"),
    "ended": later("The log is complete."),
    "stopped": later("The app does not run; this is the end of its log."),
    "signedOut": later("You are signed out; reload the page."),
    "missing": later("There is no log to show yet."),
    "lines": later("{n} lines"),
    "gap": later("Lines {from} to {to} were left out: the log is too long."),
    "found": later("{at} of {n}"),
    "none": later("Not found"),
    "pause": later("Pause"),
    "resume": later("To the end"),
}
