"""The apps and what runs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli import times, words
from cli.deploy_api import APPS_AT_ONCE, DeployApi
from cli.figures import LISTED

if TYPE_CHECKING:
    from cli.platform import Platform
    from cli.view import Cell, View

_COLUMNS = ("app", "state", "revision", "node", "deployed", "url")


def apps(platform: Platform, view: View) -> int:
    """Show every app that is placed on a node or has a job among the newest ones."""
    api = DeployApi(platform)
    with view.waiting("asks Deploy which apps there are"):
        known = _known(api)
    found: list[dict[str, Any]] = []
    pages = [known[n : n + APPS_AT_ONCE] for n in range(0, len(known), APPS_AT_ONCE)]
    with view.waiting("asks Deploy what runs", len(pages)) as done:
        for page in pages:
            found += api.apps(page)
            done()
    if view.as_json:
        at = times.iso(view.now)
        view.document({"version": 1, "at": at, "apps": [_document(app) for app in found]})
        return 0
    if not found:
        view.note("There is no app yet; docs/tutorial/first_deploy.md deploys the first one.")
        return 0
    view.table(_COLUMNS, [_row(app, view) for app in found])
    return 0


def _known(api: DeployApi) -> list[str]:
    """Return the ids of apps: placed ones, and those whose first job still waits for a node."""
    found = {app for node in api.nodes() for app in api.apps_on(node["nodeId"])}
    found.update(job["appId"] for job in api.jobs(LISTED) if job["appId"])
    return sorted(found)


def _document(app: dict[str, Any]) -> dict[str, Any]:
    revision = app["revision"] or {}
    return {
        "appId": app["appId"],
        "state": app["state"],
        "reason": app["reason"],
        "paused": app["paused"],
        "revision": revision.get("number"),
        "release": revision.get("release"),
        "commit": revision.get("commit"),
        "image": revision.get("image"),
        "node": app["node"],
        "url": app["publicUrl"] or app["deployUrl"],
        "lastDeployedAt": times.iso(times.from_ms(app["lastDeployedAt"])),
        "lastJobId": app["lastJobId"],
        "lastJobStatus": app["lastJobStatus"],
    }


def _row(app: dict[str, Any], view: View) -> tuple[Cell, ...]:
    revision = app["revision"]
    word, style = words.app(app["state"], paused=bool(app["paused"]))
    if app["lastJobStatus"] == "FAILED" and app["state"] != "NOT_RUNNING":
        word, style = f"{word}, last job failed", words.BUSY
    return (
        app["appId"],
        (word, style),
        revision["release"] if revision else "-",
        app["node"] or "-",
        view.when(times.from_ms(app["lastDeployedAt"])),
        app["publicUrl"] or app["deployUrl"] or "-",
    )
