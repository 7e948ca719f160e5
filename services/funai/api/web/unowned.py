"""Apps that Deploy knows and nobody here has: operators see them, and say whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request

from funai.api import access
from funai.api.apps.model import App
from funai.api.deploy_client import part
from funai.api.deploys.service import DeployService
from funai.api.errors import ApiError, ConflictingError
from funai.api.web import reading, words
from funai.api.web.faults import answer, of_form
from funai.api.web.language import translate

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts

_JOBS = 5
#: What scripts ask for; none runs on the page of such an app.
_NO_PAGES = (".json", ".txt")


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the form that gives an app its owner."""
    blueprint = Blueprint("unowned", __name__, url_prefix="/console/apps")
    deploys = DeployService(parts)

    @blueprint.post("/<string:app_id>/owner")
    @access.operators
    def give(app_id: str) -> ResponseReturnValue:
        owner = request.form.get("owner", "")
        try:
            found = deploys.give_owner(access.account(), owner, app_id)
        except ConflictingError:
            # Somebody was faster, or it was deployed here meanwhile.
            flash(translate("App %(app)s has an owner already.") % {"app": app_id}, "error")
        except ApiError as exc:
            return _page(parts, App(app_id, 0, app_id), owner, exc)
        else:
            done = translate("App %(app)s belongs to %(name)s now.")
            flash(done % {"app": app_id, "name": found.name})
        return redirect(f"/console/apps/{part(app_id)}")

    return blueprint


def show_instead(blueprint: Blueprint, parts: Parts) -> None:
    """Let an operator who opens a page of an app without an owner see that, and not that there is no such app."""

    @blueprint.before_request
    def look() -> ResponseReturnValue | None:
        app_id = (request.view_args or {}).get("app_id")
        account = access.account()
        if request.method != "GET" or request.path.endswith(_NO_PAGES) or app_id is None:
            return None
        if not account.is_operator or parts.apps.find(account, app_id) is not None:
            return None
        app = App(app_id, 0, app_id)
        # Where Deploy does not know it either, the view says so.
        is_known = reading.standing_of(parts, app) or reading.newest_jobs(parts, app, 1)
        return _page(parts, app) if is_known else None


def _page(
    parts: Parts, app: App, typed: str | None = None, refused: ApiError | None = None
) -> ResponseReturnValue:
    standing, jobs = reading.standing_of(parts, app), reading.newest_jobs(parts, app, _JOBS)
    faults, sentence = of_form(refused)
    page = render_template(
        "app_without_owner.html",
        app=app,
        standing=standing,
        mark=words.app_mark(standing),
        address=reading.address_of(parts, standing),
        jobs=jobs,
        typed=_likely_owner(parts, jobs) if typed is None else typed,
        fault=faults.pop("owner", ""),
        refused=sentence or " ".join(faults.values()),
    )
    return answer(page, refused)


def _likely_owner(parts: Parts, jobs: list[dict[str, Any]]) -> str:
    """Return the name of the account for whom the app was deployed last, if there is one."""
    user_id = str((jobs[0].get("payload") or {}).get("userId")) if jobs else ""
    return next((each.name for each in parts.accounts.all() if str(each.id) == user_id), "")
