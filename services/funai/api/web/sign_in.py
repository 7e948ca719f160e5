"""Signing in and out, and the choice of a language."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, session

from funai.api import access
from funai.api.accounts.model import LANGUAGES
from funai.api.errors import (
    ApiError,
    BusyError,
    InvalidInputError,
    SignInRequiredError,
    TooManyError,
)
from funai.api.web import faults, headers, language

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

_YEAR_SECONDS = 365 * 86400


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the pages."""
    blueprint = Blueprint("sign_in", __name__)

    @blueprint.get("/sign-in")
    @access.public
    def form() -> ResponseReturnValue:
        if access.account_or_none():
            return redirect(_onward(parts, own_path(request.args.get("next"))))
        return _page(parts, own_path(request.args.get("next")))

    @blueprint.post("/sign-in")
    @access.public
    def sign_in() -> ResponseReturnValue:
        back = own_path(request.form.get("next"))
        name, password = request.form.get("name", ""), request.form.get("password", "")
        try:
            found = parts.accounts.sign_in(name, password, request.remote_addr or "unknown")
        except (SignInRequiredError, TooManyError, BusyError) as exc:
            return _page(parts, back, name, exc)
        # Nothing of who was here before goes over: neither its session nor its CSRF token.
        _leave(parts)
        session.permanent = True
        session[access.SESSION_KEY] = parts.sessions.begin(found)
        return redirect(_onward(parts, back))

    @blueprint.post("/sign-out")
    @access.public
    def sign_out() -> ResponseReturnValue:
        _leave(parts)
        return redirect("/sign-in")

    _add_language(blueprint, parts)
    return blueprint


def _add_language(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.post("/language")
    @access.public
    def choose_language() -> ResponseReturnValue:
        chosen = request.form.get("language", "")
        if chosen not in LANGUAGES:
            raise InvalidInputError(field="language", rule=f"must be one of {', '.join(LANGUAGES)}")
        found = access.account_or_none()
        if found:
            parts.accounts.set_language(found, chosen)
        response = redirect(own_path(request.form.get("next")))
        response.set_cookie(
            language.COOKIE, chosen, max_age=_YEAR_SECONDS, samesite="Lax", secure=request.is_secure
        )
        return response


def own_path(value: str | None) -> str:
    """Return a path of this origin to go on to: ``value``, unless it leads elsewhere."""
    if not value or not value.startswith("/") or value.startswith("//") or "\\" in value:
        return "/"
    try:
        parts = urlsplit(value)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or not value.isprintable() else value


def _page(parts: Parts, back: str, name: str = "", refused: ApiError | None = None) -> Response:
    """Return the form; of a refusal with what was typed, without the password."""
    error = str(refused) if refused else None
    page = render_template("sign_in.html", next=back, name=name, error=error)
    response = faults.answer(page, refused)
    if parts.settings.public_url:
        # Who came from a preview goes back there: browsers count that as where the form leads.
        allowed = headers.policy(_origin(parts.settings.public_url))
        response.headers["Content-Security-Policy"] = allowed
    return response


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}"


def _onward(parts: Parts, path: str) -> str:
    """Return where a path leads: previews are on the origin of the apps, the rest is here."""
    return f"{parts.settings.public_url}{path}" if path.startswith("/ws/") else path


def _leave(parts: Parts) -> None:
    shown = session.get(access.SESSION_KEY)
    if isinstance(shown, str):
        parts.sessions.end(shown)
    session.clear()
