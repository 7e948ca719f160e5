"""Registers what browsers see: the pages, their language, and what every page shares."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request

from funai.api import access
from funai.api.web import (
    account,
    accounts,
    app_actions,
    app_pages,
    app_settings,
    appearance,
    faults,
    following,
    headers,
    home,
    job_pages,
    language,
    moments,
    nodes,
    phrases,
    queue,
    reading,
    reasons,
    sign_in,
    unowned,
    words,
)

if TYPE_CHECKING:
    from flask import Flask

    from funai.api.parts import Parts

_STATIC = Path(__file__).parent / "static"


def register(app: Flask, parts: Parts) -> None:
    """Add the pages to the application."""
    language.install(app)
    moments.install(app)
    # For texts that are not written in a template: what they hold is escaped, unlike with ``_``.
    app.jinja_env.filters["said"] = phrases.said
    headers.install(app)
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    shared = Blueprint(
        "web",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    app.register_blueprint(shared)
    for module in (
        sign_in,
        appearance,
        home,
        app_actions,
        app_settings,
        queue,
        account,
        accounts,
        nodes,
        unowned,
    ):
        app.register_blueprint(module.create_blueprint(parts))
    followers = following.install(app, parts)
    for module in (app_pages, job_pages):
        app.register_blueprint(module.create_blueprint(parts, followers))
    app.jinja_env.globals.update(
        job_mark=words.job_mark,
        revision_mark=words.revision_mark,
        step_mark=words.step_mark,
        phase_name=words.phase_name,
        reason_of=reasons.reason_of,
        source_line=reading.source_line,
    )
    assets = _fingerprint()
    app.context_processor(
        lambda: {
            "me": access.account_or_none(),
            "public_url": parts.settings.public_url,
            "has_docs": parts.settings.docs_dir is not None,
            "theme": appearance.current(),
            "here": _here(),
            "assets": assets,
            "phase_names": {key: language.translate(text) for key, text in words.PHASES.items()},
        }
    )


def sign_in_url(back: str) -> str:
    """Return where to sign in, to go on to ``back`` then."""
    return f"/sign-in?{urlencode({'next': back})}"


def error_page(status: int, message: str) -> Response:
    """Return a page that says what went wrong."""
    page = render_template(
        "error.html",
        status=status,
        title=faults.title(status),
        message=phrases.said(message),
        advice=faults.advice(status),
    )
    return make_response(page, status)


def _here() -> str:
    """Return the page in hand as a path to come back to; of what only takes forms, the way in."""
    return request.full_path.rstrip("?") if request.method == "GET" else "/"


def _fingerprint() -> str:
    """Return what changes with the files that browsers keep."""
    found = hashlib.sha256()
    for path in sorted(_STATIC.iterdir()):
        found.update(path.read_bytes())
    return found.hexdigest()[:10]
