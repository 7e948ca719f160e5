"""Registers what browsers see: the pages, their language, and what every page shares."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template

from funai.api import access
from funai.api.web import headers, home, language, sign_in

if TYPE_CHECKING:
    from flask import Flask

    from funai.api.parts import Parts


def register(app: Flask, parts: Parts) -> None:
    """Add the pages to the application."""
    language.install(app)
    headers.install(app)
    shared = Blueprint(
        "web",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    app.register_blueprint(shared)
    for module in (sign_in, home):
        app.register_blueprint(module.create_blueprint(parts))
    app.context_processor(
        lambda: {"me": access.account_or_none(), "public_url": parts.settings.public_url}
    )


def sign_in_url(back: str) -> str:
    """Return where to sign in, to go on to ``back`` then."""
    return f"/sign-in?{urlencode({'next': back})}"


def error_page(status: int, message: str) -> Response:
    """Return a page that says what went wrong."""
    return make_response(render_template("error.html", status=status, message=message), status)
