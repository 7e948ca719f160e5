"""Light or dark: the reader's choice, else what their system says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, request

from funai.api import access
from funai.api.errors import InvalidInputError
from funai.api.web.sign_in import own_path

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

COOKIE = "funai_theme"
THEMES = ("auto", "light", "dark")
_YEAR_SECONDS = 365 * 86400


def current() -> str:
    """Return the theme of the page in hand."""
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in THEMES else THEMES[0]


def create_blueprint(_parts: Parts) -> Blueprint:
    """Return the route of the choice."""
    blueprint = Blueprint("appearance", __name__)

    @blueprint.post("/theme")
    @access.public
    def choose() -> ResponseReturnValue:
        chosen = request.form.get("theme", "")
        if chosen not in THEMES:
            raise InvalidInputError(field="theme", rule=f"must be one of {', '.join(THEMES)}")
        response = redirect(own_path(request.form.get("next")))
        response.set_cookie(
            COOKIE,
            chosen,
            max_age=_YEAR_SECONDS,
            samesite="Lax",
            httponly=True,
            secure=request.is_secure,
        )
        return response

    return blueprint
