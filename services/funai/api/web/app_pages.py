"""An app: how it stands, its jobs, its revisions, its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request

from funai.api import access
from funai.api.deploy_client import part
from funai.api.web import job_pages, reading, unowned, words
from funai.api.web.moments import now_ms

if TYPE_CHECKING:
    from funai.api.apps.model import App
    from funai.api.parts import Parts
    from funai.api.web.following import Followers

_JOBS = 20
_REVISIONS = 50
_RECENT = 5
_TAIL = 1000
_MAX_TAIL = 5000


def create_blueprint(parts: Parts, followers: Followers) -> Blueprint:
    """Return the pages under ``/console/apps``."""
    blueprint = Blueprint("app_pages", __name__, url_prefix="/console/apps")
    unowned.show_instead(blueprint, parts)

    @blueprint.get("/<string:app_id>")
    @access.signed_in
    def overview(app_id: str) -> str:
        found = _overview(parts, parts.apps.get(access.account(), app_id))
        return render_template("app.html", **found, log_texts=job_pages.log_texts())

    @blueprint.get("/<string:app_id>/state.json")
    @access.signed_in
    def state(app_id: str) -> dict[str, Any]:
        found = _overview(parts, parts.apps.get(access.account(), app_id))
        names = ("app_badge", "app_facts", "app_jobs")
        fragments = {name: render_template(f"parts/{name}.html", **found) for name in names}
        shown = found["shown"]
        if shown:
            for name in ("outcome", "progress"):
                fragments[name] = render_template(f"parts/job_{name}.html", shown=shown)
        live = bool(shown and shown.is_live)
        return {
            "live": live,
            "now": now_ms(),
            "job": shown.job["id"] if shown else None,
            "parts": fragments,
        }

    @blueprint.get("/<string:app_id>/jobs")
    @access.signed_in
    def jobs(app_id: str) -> str:
        app = parts.apps.get(access.account(), app_id)
        newest = reading.newest_jobs(parts, app, _JOBS)
        return render_template("app_jobs.html", jobs=newest, limit=_JOBS, **frame(parts, app))

    @blueprint.get("/<string:app_id>/revisions")
    @access.signed_in
    def revisions(app_id: str) -> str:
        app = parts.apps.get(access.account(), app_id)
        found = parts.deploy.get(f"/deploy/apps/{part(app_id)}/revisions", limit=_REVISIONS)
        return render_template("app_revisions.html", revisions=found, **frame(parts, app))

    _add_log(blueprint, parts, followers)
    return blueprint


def _add_log(blueprint: Blueprint, parts: Parts, followers: Followers) -> None:
    @blueprint.get("/<string:app_id>/log")
    @access.signed_in
    def log(app_id: str) -> str:
        app = parts.apps.get(access.account(), app_id)
        texts = job_pages.log_texts()
        return render_template("app_log.html", log_texts=texts, tail=_TAIL, **frame(parts, app))

    @blueprint.get("/<string:app_id>/log.txt")
    @access.signed_in
    def text(app_id: str) -> Response:
        app = parts.apps.get(access.account(), app_id)
        tail = request.args.get("tail", "")
        lines = min(int(tail), _MAX_TAIL) if tail.isascii() and tail.isdigit() else _TAIL
        follow = "true" if request.args.get("follow") == "1" else "false"
        path = f"/deploy/apps/{part(app_id)}/logs"
        response = followers.pass_on(path, "text/plain", {}, tail=lines, follow=follow)
        if "download" in request.args:
            response.headers["Content-Disposition"] = f'attachment; filename="{app.app_id}.log"'
        return response


def frame(parts: Parts, app: App) -> dict[str, Any]:
    """Return what the head of every page of an app shows."""
    standing = reading.standing_of(parts, app)
    return {
        "app": app,
        "standing": standing,
        "mark": words.app_mark(standing),
        "address": reading.address_of(parts, standing),
        "base": f"/console/apps/{part(app.app_id)}",
    }


def _overview(parts: Parts, app: App) -> dict[str, Any]:
    jobs = reading.newest_jobs(parts, app, _RECENT)
    # Of two that have not ended the older one runs; the other waits for it.
    live = [job for job in jobs if job["status"] in reading.LIVE]
    current = next((job for job in live if job["status"] == "RUNNING"), live[-1] if live else None)
    newest = current or (jobs[0] if jobs else None)
    shown = reading.show(parts, newest, app) if newest else None
    return {**frame(parts, app), "jobs": jobs, "shown": shown}
