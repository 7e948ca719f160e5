"""HTTP of settings of apps: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from funai.contract import app_settings as rules
from funai.contract import ids
from funai.contract.envelope import envelope
from funai.contract.ids import FieldError
from funai.contract.source_rules import health_path
from funai.deploy.access import DEPLOY, RUNNER
from funai.deploy.app_settings.model import Change, Entry
from funai.deploy.app_settings.service import Holder
from funai.deploy.errors import InvalidRequestError
from funai.deploy.fields import AppId, Flag, Model, RunnerId, Text, WholeNumber

if TYPE_CHECKING:
    from funai.deploy.app_settings.model import AppSettings, Variable
    from funai.deploy.app_settings.service import AppSettingsService

_MAX_NUMBER = 2**53
_Port = Annotated[int, BeforeValidator(ids.container_port)]
_HealthPath = Annotated[str, BeforeValidator(lambda value: health_path("healthPath", value))]
_Memory = Annotated[int, BeforeValidator(lambda value: rules.memory_mib("memoryMib", value))]
_Cpus = Annotated[int, BeforeValidator(lambda value: rules.cpus_milli("cpus", value))]


class AppPath(Model):
    """Which app."""

    app_id: AppId


class JobPath(Model):
    """Which job."""

    job_id: str


class HolderQuery(Model):
    """Who holds the job."""

    runner_id: RunnerId = Field(alias="runnerId")
    fence: WholeNumber | None = Field(None, ge=1, le=_MAX_NUMBER)


class EntryBody(Model):
    """A variable; without a value the stored one stays."""

    name: Text
    value: Text | None = None
    secret: Flag | None = None


class SettingsBody(BaseModel):
    """What is to change. Here null is not the same as absent: it takes a setting away."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    container_port: _Port | None = Field(None, alias="containerPort")
    health_path: _HealthPath | None = Field(None, alias="healthPath")
    memory_mib: _Memory | None = Field(None, alias="memoryMib")
    #: Thousandths, once it is read.
    cpus: _Cpus | None = Field(None, description="A number of CPUs, such as 0.5.")
    environment: list[EntryBody] | None = Field(None, max_length=rules.MAX_VARIABLES)
    if_version: WholeNumber | None = Field(None, alias="ifVersion", ge=0, le=_MAX_NUMBER)


def create_blueprint(settings: AppSettingsService) -> APIBlueprint:
    """Return the API's routes."""
    blueprint = APIBlueprint("app_settings", __name__, url_prefix="/deploy/apps")

    @blueprint.get("/<string:app_id>/settings", summary="An app's settings", security=DEPLOY)
    def show(path: AppPath) -> Response:
        return _private(_settings(settings.get(path.app_id)))

    @blueprint.put("/<string:app_id>/settings", summary="Change settings", security=DEPLOY)
    def change(path: AppPath, body: SettingsBody) -> Response:
        return _private(_settings(settings.change(path.app_id, _change(body))))

    return blueprint


def create_intake_blueprint(settings: AppSettingsService) -> APIBlueprint:
    """Return the runners' route."""
    blueprint = APIBlueprint("job_app_settings", __name__, url_prefix="/deploy/jobs")

    @blueprint.get("/<string:job_id>/app-settings", summary="What to deploy with", security=RUNNER)
    def of_job(path: JobPath, query: HolderQuery) -> Response:
        holder = Holder(path.job_id, query.runner_id, query.fence)
        return _private(_whole(settings.for_job(holder)))

    return blueprint


def _change(body: SettingsBody) -> Change:
    shape = {
        "cpus_milli" if name == "cpus" else name: getattr(body, name)
        for name in ("container_port", "health_path", "memory_mib", "cpus")
        if name in body.model_fields_set
    }
    entries = None
    if body.environment is not None:
        try:
            entries = tuple(_entry(n, entry) for n, entry in enumerate(body.environment))
        except FieldError as exc:
            raise InvalidRequestError(str(exc)) from exc
    return Change(shape, entries, body.if_version)


def _entry(number: int, entry: EntryBody) -> Entry:
    name = rules.variable_name(f"environment.{number}.name", entry.name)
    value = entry.value
    if value is not None:
        value = rules.variable_value(f"environment.{name}", value)
    return Entry(name, value, entry.secret)


def _settings(found: AppSettings) -> dict[str, Any]:
    return {
        "appId": found.app_id,
        "version": found.version,
        "containerPort": found.shape.container_port,
        "healthPath": found.shape.health_path,
        **_limits(found),
        "environment": [_variable(variable) for variable in found.variables],
    }


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "value": None if variable.is_secret else variable.value,
        "secret": variable.is_secret,
        "updatedAt": variable.updated_at,
    }


def _whole(found: AppSettings) -> dict[str, Any]:
    return {
        "appId": found.app_id,
        "version": found.version,
        "environment": found.environment,
        "secretNames": [variable.name for variable in found.variables if variable.is_secret],
        "limits": _limits(found),
    }


def _limits(found: AppSettings) -> dict[str, Any]:
    milli = found.shape.cpus_milli
    return {
        "memoryMib": found.shape.memory_mib,
        "cpus": None if milli is None else milli / rules.MILLI,
    }


def _private(data: dict[str, Any]) -> Response:
    response = jsonify(envelope(data))
    response.headers["Cache-Control"] = "no-store"
    return response
