"""Operators' work on accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request

from funai.api import access
from funai.api.accounts import model
from funai.api.errors import ApiError, ConflictingError, InvalidInputError
from funai.api.web.acting import act
from funai.api.web.faults import answer, of_form
from funai.api.web.language import translate

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

_PAGE = "/console/accounts"


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the pages."""
    blueprint = Blueprint("accounts", __name__, url_prefix=_PAGE)

    @blueprint.get("")
    @access.operators
    def accounts() -> ResponseReturnValue:
        return _page(parts)

    @blueprint.post("")
    @access.operators
    def create() -> ResponseReturnValue:
        try:
            name = _create(parts)
        except ApiError as exc:
            return _page(parts, exc)
        flash(
            translate("Account %(name)s is made. Tell its owner name and password.")
            % {"name": name}
        )
        return redirect(_PAGE)

    @blueprint.post("/<int:account_id>/enabled")
    @access.operators
    def set_enabled(account_id: int) -> ResponseReturnValue:
        found, enabled = parts.accounts.get(account_id), request.form.get("enabled") == "yes"

        def work() -> None:
            if found.id == access.account().id:
                msg = "you cannot disable the account that you are signed in with"
                raise ConflictingError(msg)
            parts.accounts.set_enabled(found, enabled=enabled)

        done = (
            translate("Account %(name)s may sign in again.")
            if enabled
            else translate("Account %(name)s is disabled and signed out. Its apps go on.")
        )
        return act(work, done % {"name": found.name}, _PAGE)

    @blueprint.post("/<int:account_id>/password")
    @access.operators
    def reset_password(account_id: int) -> ResponseReturnValue:
        found, password = parts.accounts.get(account_id), request.form.get("password", "")
        done = translate(
            "Account %(name)s has a new password and is signed out everywhere. Its tokens, if it had any, are removed."
        )
        return act(
            lambda: parts.accounts.reset_password(found, password),
            done % {"name": found.name},
            _PAGE,
        )

    return blueprint


def _create(parts: Parts) -> str:
    form = request.form
    text = form.get("id", "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidInputError(field="id", rule=translate("must be a whole number from 1 on"))
    name = model.check_name(form.get("name", ""))
    role = model.check_role(form.get("role", ""))
    parts.accounts.create(name, role, form.get("password", ""), int(text) if text else None)
    return name


def _page(parts: Parts, refused: ApiError | None = None) -> ResponseReturnValue:
    faults, sentence = of_form(refused)
    kept = {key: request.form.get(key, "") for key in ("name", "id", "role")} if refused else {}
    page = render_template(
        "accounts.html",
        accounts=parts.accounts.all(),
        faults=faults,
        refused=sentence,
        typed=kept,
        making=refused is not None or "new" in request.args,
    )
    return answer(page, refused)
