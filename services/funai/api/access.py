"""Who may call what. A view without a rule is closed.

A browser proves itself with the cookie of its session, a program with ``Authorization: Bearer`` and a token.
What a browser sends to change something must come from our own pages: its ``Origin`` (or ``Sec-Fetch-Site``)
must be ours, and forms carry a CSRF token besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from flask import current_app, g, request, session
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]

from funai.api.errors import ForbiddenError, SignInRequiredError
from funai.contract import secrets
from funai.contract.headers import ADMIN_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from funai.api.accounts.model import Account
    from funai.api.parts import Parts

View = TypeVar("View", bound="Callable[..., object]")

SESSION_KEY = "sid"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Forms of pages carry a token; JSON has the origin alone, as the admin page of before has no token.
_WITHOUT_TOKEN = ("/api/", "/internal/")


class Access(StrEnum):
    """What a view asks for."""

    FILE = "file"  #: nothing: it is the same for everybody, so nobody is looked up
    PUBLIC = "public"  #: nobody need be signed in
    HOOK = "hook"  #: proves itself in its own way; no cookie counts
    USER = "user"  #: an account
    OPERATOR = "operator"  #: an operator's account
    ADMIN = "admin"  #: an operator's account, or the admin token, as operators' scripts show it


_WITHOUT_CALLER = frozenset({Access.FILE, Access.HOOK})


@dataclass(frozen=True)
class Caller:
    """Whose request this is."""

    account: Account
    #: None where a token was shown.
    session_id: str | None = None


def access(rule: Access) -> Callable[[View], View]:
    """Declare what a view asks for; below the decorator of the route."""

    def mark(view: View) -> View:
        view.funai_access = rule  # type: ignore[attr-defined]
        return view

    return mark


public = access(Access.PUBLIC)
hook = access(Access.HOOK)
signed_in = access(Access.USER)
operators = access(Access.OPERATOR)
admins = access(Access.ADMIN)


def account() -> Account:
    """Return who calls; for views that ask for an account."""
    return _caller().account


def account_or_none() -> Account | None:
    """Return who calls, or None."""
    caller: Caller | None = g.get("caller")
    return caller.account if caller else None


def session_id() -> str | None:
    """Return the id of the browser's session."""
    return _caller().session_id


def _caller() -> Caller:
    caller: Caller | None = g.get("caller")
    if caller is None:
        msg = "this view is not marked with what it asks for"
        raise RuntimeError(msg)
    return caller


class Gatekeeper:
    """Lets each request in, or not."""

    def __init__(self, app: Flask, parts: Parts) -> None:
        self._parts = parts
        app.config["WTF_CSRF_CHECK_DEFAULT"] = False
        app.config["WTF_CSRF_TIME_LIMIT"] = None
        # The check of the origin is ours, for every scheme.
        app.config["WTF_CSRF_SSL_STRICT"] = False
        self._csrf = CSRFProtect(app)
        app.before_request(self.check)

    def check(self) -> None:
        """Raise unless the request may go on.

        :raises SignInRequiredError: where nobody is signed in
        :raises ForbiddenError: where the account may not, or the request was made elsewhere
        """
        rule = _rule()
        if rule in _WITHOUT_CALLER:
            return
        g.caller = self._identify()
        if rule is Access.PUBLIC:
            # Of what is not there, the answer is that it is not there.
            if request.endpoint is not None:
                self._check_origin(g.caller)
            return
        if rule is Access.ADMIN and self._shows_admin_token():
            return
        if g.caller is None:
            msg = "sign in first, or show a token: Authorization: Bearer funai_..."
            raise SignInRequiredError(msg)
        self._check_origin(g.caller)
        if rule is not Access.USER and not g.caller.account.is_operator:
            msg = "this is for operators; your account is a user's"
            raise ForbiddenError(msg)

    def _identify(self) -> Caller | None:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            found = self._parts.tokens.account(value.strip())
            if found is None:
                msg = "this token is unknown or its account is disabled; make a new one in the console"
                raise SignInRequiredError(msg)
            return Caller(found)
        shown = session.get(SESSION_KEY)
        found = self._parts.sessions.account(shown) if isinstance(shown, str) else None
        return Caller(found, shown) if found else None

    def _shows_admin_token(self) -> bool:
        shown = request.headers.get(ADMIN_TOKEN)
        return secrets.matches(shown, self._parts.settings.deploy.admin_token)

    def _check_origin(self, caller: Caller | None) -> None:
        if request.method in _SAFE or (caller is not None and caller.session_id is None):
            return
        if not _is_own_origin():
            msg = (
                "this request was made by another site, or by a program without a token;"
                " use the console's own pages, or show a token: Authorization: Bearer funai_..."
            )
            raise ForbiddenError(msg)
        if request.path.startswith(_WITHOUT_TOKEN):
            return
        try:
            self._csrf.protect()
        except CSRFError as exc:
            msg = "the form is too old or was not ours; go back, reload the page and send it again"
            raise ForbiddenError(msg) from exc


def _rule() -> Access | None:
    if request.endpoint is None:
        return Access.PUBLIC  # No such page: Flask says so.
    if request.endpoint.rpartition(".")[2] == "static":
        return Access.FILE
    view = current_app.view_functions[request.endpoint]
    rule: Access | None = getattr(view, "funai_access", None)
    if rule is None:
        msg = f"{request.path[:100]} has no rule of who may call it"
        raise ForbiddenError(msg)
    return rule


def _is_own_origin() -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        # Scheme and port too: apps of users are on the same host.
        parts = urlsplit(origin)
        return f"{parts.scheme}://{parts.netloc}" == request.host_url.rstrip("/")
    return request.headers.get("Sec-Fetch-Site") == "same-origin"
