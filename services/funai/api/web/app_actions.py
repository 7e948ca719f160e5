"""What is done to an app: deploy, roll back, stop, resume."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from flask import Blueprint, flash, make_response, redirect, render_template, request

from funai.api import access
from funai.api.deploy_client import part
from funai.api.deploys.service import DeployService, Wish
from funai.api.errors import ApiError, DeployRefusedError, InvalidInputError, UnknownError
from funai.api.web import unowned
from funai.api.web.acting import act
from funai.api.web.app_pages import frame
from funai.api.web.deploy_form import FIELDS, DeployForm
from funai.api.web.language import translate
from funai.api.web.phrases import said

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.apps.model import App
    from funai.api.parts import Parts

_CONFLICT = 409


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the forms under ``/console/apps``."""
    blueprint = Blueprint("app_actions", __name__, url_prefix="/console/apps")
    unowned.show_instead(blueprint, parts)

    @blueprint.get("/<string:app_id>/deploy")
    @access.signed_in
    def form(app_id: str) -> str:
        app = parts.apps.get(access.account(), app_id)
        return _form(parts, app, DeployForm.of_source(app.source))

    @blueprint.post("/<string:app_id>/deploy")
    @access.signed_in
    def deploy(app_id: str) -> ResponseReturnValue:
        app = parts.apps.get(access.account(), app_id)
        sent = DeployForm.sent(request.form)
        try:
            job_id = _deploy(parts, app, sent)
        except ApiError as exc:
            return make_response(_form(parts, app, sent, exc), exc.status)
        return redirect(f"/console/jobs/{part(job_id)}")

    _add_buttons(blueprint, parts)
    return blueprint


def _add_buttons(blueprint: Blueprint, parts: Parts) -> None:
    deploys = DeployService(parts)

    @blueprint.post("/<string:app_id>/rollback")
    @access.signed_in
    def roll_back(app_id: str) -> ResponseReturnValue:
        account = access.account()
        body = {
            "revision": request.form.get("revision", ""),
            "reason": f"by {account.name} in the console",
        }
        conflict = {"supersede": "supersede" in request.form}
        try:
            job = deploys.roll_back(account, app_id, Wish(app_id, body, conflict=conflict))
        except UnknownError:
            raise
        except ApiError as exc:
            flash(said(exc), "error")
            return redirect(f"{_home(app_id)}/revisions")
        flash(translate("Going back to revision %(number)s.") % {"number": job["revision"]})
        return redirect(f"/console/jobs/{part(job['id'])}")

    @blueprint.post("/<string:app_id>/stop")
    @access.signed_in
    def stop(app_id: str) -> ResponseReturnValue:
        account = access.account()
        done = translate("The app is stopped. Deploying or rolling back starts it again.")
        return act(lambda: deploys.stop(account, app_id), done, _home(app_id))

    @blueprint.post("/<string:app_id>/resume")
    @access.signed_in
    def resume(app_id: str) -> ResponseReturnValue:
        account = access.account()
        done = translate("The app takes jobs again.")
        return act(lambda: deploys.resume(account, app_id), done, _home(app_id))


def _home(app_id: str) -> str:
    return f"/console/apps/{part(app_id)}"


def _deploy(parts: Parts, app: App, sent: DeployForm) -> str:
    wish = Wish(
        app.app_id,
        sent.payload(),
        conflict={"supersede": sent.supersede},
        key=request.form.get("key") or None,
    )
    return str(DeployService(parts).create(access.account(), wish)["id"])


def _form(parts: Parts, app: App, form: DeployForm, refused: ApiError | None = None) -> str:
    found = frame(parts, app)
    field, rule = _fault(refused)
    return render_template(
        "app_deploy.html",
        **found,
        typed=form.typed,
        supersede=form.supersede,
        kind=form.typed.get("kind", "image"),
        faults={field: rule} if field else {},
        refused=None if field else rule,
        is_busy=isinstance(refused, DeployRefusedError) and refused.status == _CONFLICT,
        key=uuid.uuid4().hex,
    )


def _fault(refused: ApiError | None) -> tuple[str | None, str | None]:
    """Return which field is wrong, if one is, and why."""
    if refused is None:
        return None, None
    if isinstance(refused, InvalidInputError):
        known = _known(refused.field)
        return known, said(refused.rule if known else refused)
    text = str(refused)
    name, _, rule = text.removeprefix("payload.").partition(" ")
    if text.startswith("payload.") and _known(name):
        return name, said(rule)
    return None, said(text)


def _known(name: str) -> str | None:
    plain = name.partition(".")[0].rstrip(":")
    return plain if plain in FIELDS else None
