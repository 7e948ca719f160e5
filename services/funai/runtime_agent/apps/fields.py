"""Reads request bodies: every complaint names the field and its rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from funai.contract import app_settings, source_rules
from funai.contract.ids import FieldError
from funai.contract.release import is_release
from funai.gateway.routes import APP_ID, APP_ID_RULE
from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.apps.model import (
    DeployRequest,
    LogsRequest,
    PruneRequest,
    Target,
)
from funai.runtime_agent.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
# Grammar of github.com/distribution/reference, with a bounded length.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# The first part is a registry only where it looks like a host: with a dot, a port, or localhost.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:localhost|{_NAME}:[0-9]{{1,5}}|{_NAME}(?:\.{_NAME})+)(?::[0-9]{{1,5}})?"
_IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)
_LONGEST_IMAGE = 512
_HIGHEST_FENCE = 2**53
_LONGEST_READY_SECONDS = 600
_LONGEST_TAIL = 5000
_DEFAULT_TAIL = 100
_MOST_KEPT = 100


def read_target(body: object) -> Target:
    """Return the app that a stop, delete or status request names.

    :raises InvalidRequestError: naming the field and its rule
    """
    fields = _object(body)
    return Target(app_id=_app_id(fields), user_id=_user_id(fields), fence=_fence(fields))


def read_deploy(body: object, ready_seconds: float) -> DeployRequest:
    """Return the state that a deploy request asks for.

    :param ready_seconds: deadline where the request names none
    :raises InvalidRequestError: naming the field and its rule
    """
    fields = _object(body)
    app_id = _app_id(fields)
    _check_base_path(fields, app_id)
    ready = _integer(fields, "readySeconds", 1, _LONGEST_READY_SECONDS)
    port = _integer(fields, "containerPort", 1, 65535)
    return DeployRequest(
        app_id=app_id,
        user_id=_user_id(fields),
        fence=_fence(fields),
        image=_image(fields),
        port=3000 if port is None else port,
        job_id=_matching(fields, "jobId", _JOB_ID, "an id of at most 64 characters", ""),
        ready_seconds=ready_seconds if ready is None else ready,
        release=_release(fields),
        health_path=_health_path(fields),
        settings=_settings(fields),
    )


def read_logs(query: Mapping[str, str]) -> LogsRequest:
    """Return what a reader of an app's log asks for.

    :raises InvalidRequestError: naming the field and its rule
    """
    tail = _integer(query, "tail", 0, _LONGEST_TAIL)
    return LogsRequest(
        target=Target(app_id=_app_id(query), user_id=_user_id(query)),
        tail=_DEFAULT_TAIL if tail is None else tail,
        follow=_flag(query, "follow"),
    )


def read_prune(body: object) -> PruneRequest:
    """Return what a request to prune asks for.

    :raises InvalidRequestError: naming the field and its rule
    """
    fields = _object(body)
    if fields.get("dryRun") is None:
        # What removes things is asked for in words, never by an empty body.
        _refuse("dryRun", "given: true only says what would go", None)
    return PruneRequest(
        dry_run=_flag(fields, "dryRun"), keep=_integer(fields, "keep", 1, _MOST_KEPT)
    )


def _object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        msg = "the body is not a JSON object"
        raise InvalidRequestError(msg, {"field": "body"})
    return body


def _refuse(field: str, rule: str, value: object) -> NoReturn:
    msg = f"{field} must be {rule}"
    evidence = {"field": field, "rule": rule, "value": repr(value)[:120]}
    raise InvalidRequestError(msg, evidence)


def _text(fields: Mapping[str, Any], field: str, default: str | None) -> str:
    value = fields.get(field)
    if value is None:
        if default is None:
            _refuse(field, "given", value)
        return default
    if isinstance(value, bool) or not isinstance(value, str | int):
        _refuse(field, "a string", value)
    return str(value)


def _matching(
    fields: Mapping[str, Any],
    field: str,
    pattern: re.Pattern[str],
    rule: str,
    default: str | None = None,
) -> str:
    value = _text(fields, field, default)
    if value != default and not pattern.match(value):
        _refuse(field, rule, value)
    return value


def _app_id(fields: Mapping[str, Any]) -> str:
    return _matching(fields, "appId", APP_ID, APP_ID_RULE)


def _user_id(fields: Mapping[str, Any]) -> str:
    return _matching(fields, "userId", _USER_ID, "an id of letters, digits, - and _, at most 63")


def _image(fields: Mapping[str, Any]) -> str:
    image = _text(fields, "image", None).strip()
    if len(image) > _LONGEST_IMAGE or not _IMAGE.match(image):
        rule = f"an image reference [registry/]name[:tag][@sha256:...] up to {_LONGEST_IMAGE} long"
        _refuse("image", rule, image)
    return image


def _check_base_path(fields: Mapping[str, Any], app_id: str) -> None:
    value = _text(fields, "basePath", "").strip()
    if value.rstrip("/") not in {"", f"/apps/{app_id}"} or value == "/":
        _refuse("basePath", f"empty or /apps/{app_id}, the only path of this app", value)


def _release(fields: Mapping[str, Any]) -> str:
    value = _text(fields, "release", "")
    if value and not is_release(value):
        _refuse("release", "letters, digits, ., _ and -, at most 64, the first no sign", value)
    return value


def _health_path(fields: Mapping[str, Any]) -> str:
    value = _text(fields, "healthPath", "") or "/"
    try:
        return source_rules.health_path("healthPath", value)
    except FieldError:
        rule = "a path such as /health: printable ASCII, without spaces, '..', '\\' and '#'"
        _refuse("healthPath", rule, value)


def _settings(fields: Mapping[str, Any]) -> AppSettings:
    environment, limits = fields.get("environment"), fields.get("limits")
    limits = {} if limits is None else limits
    if not isinstance(limits, dict):
        _refuse("limits", "an object", limits)
    memory, cpus = limits.get("memoryMib"), limits.get("cpus")
    try:
        return AppSettings(
            {} if environment is None else app_settings.environment("environment", environment),
            None if memory is None else app_settings.memory_mib("limits.memoryMib", memory),
            None if cpus is None else app_settings.cpus_milli("limits.cpus", cpus),
        )
    except FieldError as exc:
        # No value in the evidence: it may be a secret.
        field = str(exc).partition(" ")[0].rstrip(":")
        raise InvalidRequestError(str(exc), {"field": field}) from exc


def _flag(fields: Mapping[str, Any], field: str) -> bool:
    value = fields.get(field)
    try:
        return False if value is None else source_rules.flag(field, value)
    except FieldError:
        _refuse(field, "true or false", value)


def _fence(fields: Mapping[str, Any]) -> int | None:
    return _integer(fields, "fence", 0, _HIGHEST_FENCE)


def _integer(fields: Mapping[str, Any], field: str, lowest: int, highest: int) -> int | None:
    value = fields.get(field)
    if value is None:
        return None
    rule = f"a whole number from {lowest} to {highest}"
    text = str(value)
    if isinstance(value, bool) or not re.match(r"[0-9]{1,16}\Z", text, re.ASCII):
        _refuse(field, rule, value)
    if not lowest <= int(text) <= highest:
        _refuse(field, rule, value)
    return int(text)
