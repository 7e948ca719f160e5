"""An app's settings: how it is reached, what it may use, its environment, pushes that deploy it, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, make_response, redirect, render_template, request

from funai.api import access
from funai.api.deploy_client import part
from funai.api.deploys.service import DeployService
from funai.api.errors import ApiError, DeployRefusedError, InvalidInputError
from funai.api.hooks.service import HookService
from funai.api.web import settings_form, unowned
from funai.api.web.acting import act
from funai.api.web.app_pages import frame
from funai.api.web.language import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    from funai.api.apps.model import App
    from funai.api.parts import Parts


class _Page:
    """Shows the settings, with what was typed where something was refused."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def app(self, app_id: str) -> App:
        return self.parts.apps.get(access.account(), app_id)

    def stored(self, app: App) -> dict[str, Any]:
        found: dict[str, Any] = self.parts.deploy.get(f"/deploy/apps/{part(app.app_id)}/settings")
        return found

    def put(self, app: App, body: dict[str, Any]) -> None:
        self.parts.deploy.put(f"/deploy/apps/{part(app.app_id)}/settings", body)

    def show(self, app: App, refused: ApiError | None = None, **more: Any) -> ResponseReturnValue:  # noqa: ANN401 - a template's
        faults, sentence = settings_form.faults_of(refused)
        page = render_template(
            "app_settings.html",
            **frame(self.parts, app),
            settings=self.stored(app),
            faults=faults,
            refused=sentence,
            hook_url=f"{_console_url(self.parts)}/hooks/git/{part(app.app_id)}",
            **{"typed": {}, "section_refused": "", "hook_secret": None, **more},
        )
        return make_response(page, refused.status if refused else 200)

    def save(self, app_id: str, name: str, work: Callable[[App], None]) -> ResponseReturnValue:
        """Do what a section's form asks for; on refusal show it again as it was typed."""
        app = self.app(app_id)
        try:
            work(app)
        except (InvalidInputError, DeployRefusedError) as exc:
            typed = settings_form.typed(request.form)
            return self.show(app, exc, section_refused=name, typed=typed)
        return redirect(f"{_url(app_id)}#{name}")


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the pages under ``/console/apps``."""
    blueprint = Blueprint("app_settings", __name__, url_prefix="/console/apps")
    unowned.show_instead(blueprint, parts)
    page = _Page(parts)

    @blueprint.get("/<string:app_id>/settings")
    @access.signed_in
    def settings(app_id: str) -> ResponseReturnValue:
        return page.show(page.app(app_id))

    @blueprint.post("/<string:app_id>/settings/shape")
    @access.signed_in
    def shape(app_id: str) -> ResponseReturnValue:
        def work(app: App) -> None:
            page.put(app, settings_form.shape(request.form))
            flash(translate("Saved. The next deploy uses it."))

        return page.save(app_id, "shape", work)

    _add_environment(blueprint, page)
    _add_hook(blueprint, page)
    _add_ends(blueprint, page)
    return blueprint


def _add_environment(blueprint: Blueprint, page: _Page) -> None:
    @blueprint.post("/<string:app_id>/settings/environment")
    @access.signed_in
    def put(app_id: str) -> ResponseReturnValue:
        def work(app: App) -> None:
            entry = settings_form.entry(request.form)
            page.put(app, settings_form.with_entry(page.stored(app), entry))
            flash(translate("%(name)s is set. The next deploy uses it.") % {"name": entry["name"]})

        return page.save(app_id, "environment", work)

    @blueprint.post("/<string:app_id>/settings/environment/remove")
    @access.signed_in
    def remove(app_id: str) -> ResponseReturnValue:
        app, name = page.app(app_id), request.form.get("name", "")
        return act(
            lambda: page.put(app, settings_form.without(page.stored(app), name)),
            translate("%(name)s is removed. The next deploy is without it.") % {"name": name},
            f"{_url(app_id)}#environment",
        )


def _add_hook(blueprint: Blueprint, page: _Page) -> None:
    hooks = HookService(page.parts)

    @blueprint.post("/<string:app_id>/settings/hook")
    @access.signed_in
    def enable(app_id: str) -> ResponseReturnValue:
        app = page.app(app_id)
        try:
            secret = hooks.enable(app, request.form.get("branch", ""))
        except ApiError as exc:
            typed = settings_form.typed(request.form)
            return page.show(app, exc, section_refused="hook", typed=typed)
        # Not by redirect: the secret is shown this once and must rest nowhere.
        return page.show(page.app(app_id), hook_secret=secret)

    @blueprint.post("/<string:app_id>/settings/hook/off")
    @access.signed_in
    def disable(app_id: str) -> ResponseReturnValue:
        app = page.app(app_id)
        done = translate("Pushes do not deploy the app any more.")
        return act(lambda: hooks.disable(app), done, f"{_url(app_id)}#hook")


def _add_ends(blueprint: Blueprint, page: _Page) -> None:
    deploys = DeployService(page.parts)

    @blueprint.post("/<string:app_id>/settings/name")
    @access.signed_in
    def rename(app_id: str) -> ResponseReturnValue:
        def work(app: App) -> None:
            page.parts.apps.rename(app, request.form.get("name", ""))
            flash(translate("The app has its new name."))

        return page.save(app_id, "name", work)

    @blueprint.post("/<string:app_id>/delete")
    @access.signed_in
    def delete(app_id: str) -> ResponseReturnValue:
        app, account = page.app(app_id), access.account()
        if request.form.get("confirm", "").strip() != app.app_id:
            rule = translate("must be the app's id: %(id)s") % {"id": app.app_id}
            return page.show(app, InvalidInputError("confirm", rule), section_refused="end")
        done = translate("App %(name)s is deleted.") % {"name": app.name}
        return act(
            lambda: deploys.remove(account, app_id), done, "/", refused=f"{_url(app_id)}#end"
        )


def _url(app_id: str) -> str:
    return f"/console/apps/{part(app_id)}/settings"


def _console_url(parts: Parts) -> str:
    return parts.settings.console_url or request.host_url.rstrip("/")
