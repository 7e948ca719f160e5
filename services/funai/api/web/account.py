"""What people do with their own account: password and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, session

from funai.api import access
from funai.api.errors import ApiError, InvalidInputError, SignInRequiredError
from funai.api.web.acting import act
from funai.api.web.faults import answer, of_form
from funai.api.web.language import translate

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

_PAGE = "/console/account"


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the pages."""
    blueprint = Blueprint("account", __name__, url_prefix=_PAGE)

    @blueprint.get("")
    @access.signed_in
    def account() -> ResponseReturnValue:
        return _page(parts)

    @blueprint.post("/password")
    @access.signed_in
    def password() -> ResponseReturnValue:
        try:
            _change_password(parts)
        except ApiError as exc:
            return _page(parts, "password", exc)
        flash(
            translate(
                "The password is changed. Everywhere else you are signed out; your tokens stay."
            )
        )
        return redirect(_PAGE)

    @blueprint.post("/tokens")
    @access.signed_in
    def make_token() -> ResponseReturnValue:
        try:
            token = parts.tokens.make(access.account(), request.form.get("name", ""))
        except ApiError as exc:
            return _page(parts, "token", exc)
        # Not by redirect: it is shown this once and must rest nowhere.
        return _page(parts, token=token)

    @blueprint.post("/tokens/<int:token_id>/remove")
    @access.signed_in
    def remove_token(token_id: int) -> ResponseReturnValue:
        found = access.account()
        done = translate("The token is removed; programs that used it are refused from now on.")
        return act(lambda: parts.tokens.remove(found, token_id), done, _PAGE)

    return blueprint


def _change_password(parts: Parts) -> None:
    """Set the password and go on with a new session: the others end.

    :raises InvalidInputError: naming the field
    :raises TooManyError: after too many wrong tries
    """
    found = access.account()
    old, new = request.form.get("old", ""), request.form.get("password", "")
    if new != request.form.get("again", ""):
        raise InvalidInputError(field="again", rule=translate("is not the same as above"))
    try:
        # With its count of failures: who found a browser open must not guess on.
        parts.accounts.sign_in(found.name, old, request.remote_addr or "unknown")
    except SignInRequiredError as exc:
        raise InvalidInputError(field="old", rule=translate("is wrong")) from exc
    parts.accounts.set_password(found, new)
    session.clear()
    session.permanent = True
    session[access.SESSION_KEY] = parts.sessions.begin(found)


def _page(
    parts: Parts, form: str = "", refused: ApiError | None = None, token: str | None = None
) -> ResponseReturnValue:
    faults, sentence = of_form(refused)
    page = render_template(
        "account.html",
        tokens=parts.tokens.of(access.account()),
        token=token,
        form=form,
        faults=faults,
        refused=sentence,
        typed=request.form.get("name", "") if form == "token" else "",
    )
    return answer(page, refused)
