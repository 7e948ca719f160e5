"""The list of apps, and making one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, make_response, redirect, render_template, request

from funai.api import access
from funai.api.deploys.service import DeployService
from funai.api.errors import ApiError
from funai.api.web import words
from funai.api.web.faults import of_form
from funai.api.web.language import translate
from funai.api.web.paging import Paging

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.apps.model import App
    from funai.api.parts import Parts

_PER_PAGE = 50
_MAX_SEARCH = 80


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the pages."""
    blueprint = Blueprint("home", __name__)
    deploys = DeployService(parts)

    @blueprint.get("/")
    @access.signed_in
    def apps() -> str:
        return _page(parts)

    @blueprint.post("/console/apps")
    @access.signed_in
    def create() -> ResponseReturnValue:
        account = access.account()
        app_id, name = request.form.get("appId", ""), request.form.get("name", "")
        try:
            made = deploys.register(account, account.id, app_id.strip(), name)
        except ApiError as exc:
            return make_response(
                _page(parts, refused=exc, typed={"appId": app_id, "name": name}), exc.status
            )
        flash(translate("App %(name)s is made. Say what to deploy.") % {"name": made.name})
        return redirect(f"/console/apps/{made.app_id}/deploy")

    return blueprint


def _page(
    parts: Parts, refused: ApiError | None = None, typed: dict[str, str] | None = None
) -> str:
    account = access.account()
    faults, sentence = of_form(refused)
    search = request.args.get("q", "").strip()[:_MAX_SEARCH]
    page = Paging.asked(_PER_PAGE)
    found, total = parts.apps.page(account, search=search, offset=page.offset, limit=page.size)
    standings, notice = _standings(parts, found)
    return render_template(
        "home.html",
        apps=found,
        total=total,
        search=search,
        paging=page.of(total),
        standings=standings,
        notice=notice,
        marks={app.app_id: words.app_mark(standings.get(app.app_id)) for app in found},
        owners={a.id: a.name for a in parts.accounts.all()} if account.is_operator else {},
        faults=faults,
        refused=sentence,
        typed=typed or {},
        # A bookmark of ours, and what the first visit of an account without apps begins with.
        making=refused is not None or "new" in request.args,
    )


def _standings(parts: Parts, apps: list[App]) -> tuple[dict[str, dict[str, Any]], ApiError | None]:
    """Return what Deploy says of the apps, in one call; the error where it says nothing."""
    if not apps:
        return {}, None
    try:
        return parts.deploy.standings([app.app_id for app in apps]), None
    except ApiError as exc:
        return {}, exc
