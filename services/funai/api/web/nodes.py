"""The operators' page of nodes and runners; what it shows and changes goes by the administration's JSON."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Blueprint, Response, render_template

from funai.api import access
from funai.api.errors import ApiError
from funai.api.web.language import later, translate
from funai.api.web.words import UNKNOWN, Mark

if TYPE_CHECKING:
    from pathlib import Path

    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

_LOG = logging.getLogger(__name__)

#: Health words of Deploy; the page shows others as unknown.
HEALTH = {
    "HEALTHY": Mark(later("Healthy"), "green", "check"),
    "STALE": Mark(later("Not heard of"), "red", "alert"),
    "UNHEALTHY": Mark(later("Disk full"), "red", "cross"),
    "DRAINING": Mark(later("Draining"), "amber", "spin"),
    "DISABLED": Mark(later("Disabled"), "grey", "pause"),
    "": UNKNOWN,
}
#: What the script says, by what it calls it.
_TEXTS = {
    "change": later("Change"),
    "new": later("New node"),
    "never": later("never"),
    "fresh": later("Fresh as of {time}"),
    "unreached": later("The console cannot be reached"),
    "down": later("The console is down for a moment; deployed apps are not affected"),
    "broken": later(
        "The console gave no valid answer; look whether it was done before you repeat it"
    ),
    "away": later("No answer: {why}. Trying again…"),
    "signedOut": later("You are signed out; reload the page."),
    "became": later("{name}: {health}"),
    "counts": later("Nodes: {nodes} · Runners: {runners}"),
    "free": later("{percent} % free, {size}"),
    "tight": later("{free}: takes no new apps"),
    "noDisk": later("not told"),
    "page": later("{from} to {to} of {total}"),
    "noApps": later("No app is placed here."),
    "moved": later("App {app} is placed on {node}. It runs there from its next deploy on."),
    "enabled": later("{name} is enabled."),
    "disabled": later("{name} is disabled."),
    "saved": later("{name} is saved."),
    "left": later("{n} apps to place elsewhere."),
    "progress": later("{moved} of {total} apps are placed on {node}."),
    "drained": later(
        "All {moved} apps are placed on {node}. They run there from their next deploy on."
    ),
    "stayed": later(
        "{moved} apps moved; {n} stayed, since they are being deployed now. Drain again when their jobs have ended."
    ),
    "stopped": later(
        "Stopped: {moved} of {total} apps moved. The node takes no new apps until it is empty, or enabled again."
    ),
    "noTarget": later("No other node takes apps now."),
}
#: A page that was written before ours has its script and style within it.
_RELAXED_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the page."""
    blueprint = Blueprint("nodes", __name__)
    own = parts.settings.admin_page

    @blueprint.get("/admin/nodes-admin.html")
    @access.operators
    def nodes() -> ResponseReturnValue:
        if own is not None:
            return _own_page(own)
        texts = {name: translate(text) for name, text in _TEXTS.items()}
        return render_template("nodes_admin.html", health=HEALTH, texts=texts)

    return blueprint


def _own_page(path: Path) -> Response:
    """Return the team's own page as it is, read anew: it may be changed while this service runs."""
    try:
        text = path.read_bytes()
    except OSError as exc:
        _LOG.exception("the page of API_ADMIN_PAGE cannot be read")
        msg = f"the page {path.name} of API_ADMIN_PAGE cannot be read: {exc.strerror}"
        raise ApiError(msg) from exc
    headers = {"Content-Security-Policy": _RELAXED_POLICY}
    return Response(text, content_type="text/html; charset=utf-8", headers=headers)
