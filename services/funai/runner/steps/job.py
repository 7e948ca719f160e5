"""A job as the steps use it: every field checked, nothing taken on trust. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from funai.runner.steps.step import StepError, shorten

TYPE = "BUILD_AND_DEPLOY"
APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
#: The grammar of github.com/distribution/reference; the tag or digest may be missing.
IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
MAX_IMAGE_CHARS = 512
DEFAULT_PORT = 3000
MAX_PORT = 65535
MAX_URL_CHARS = 1024


@dataclass(frozen=True)
class DeployJob:
    """What to deploy, where, and by which right."""

    job_id: str
    app_id: str
    user_id: str
    fence: int
    image: str
    container_port: int
    base_path: str
    node_name: str
    agent_base_url: str
    #: Where the app answers through the node's gateway; ends in ``/``.
    deploy_url: str

    @classmethod
    def parse(cls, record: dict[str, Any]) -> DeployJob:
        """Check a job file's content; the raw ``data`` of a claim is taken too.

        :raises StepError: reason ``JOB_INVALID`` or ``IMAGE_MISSING``, naming field and rule
        """
        payload, node = _mapping(record, "payload"), _mapping(record, "runtimeNode")
        kind = record.get("type", TYPE)
        if kind != TYPE:
            raise _invalid(name="type", value=kind, rule=f"must be {TYPE}")
        app_id = _text(payload.get("appId", record.get("appId")), "appId", APP_ID)
        gateway = _url(node.get("gatewayBaseUrl"), "runtimeNode.gatewayBaseUrl")
        base_path = _base_path(payload.get("basePath"), app_id)
        return cls(
            job_id=_text(record.get("jobId", record.get("id")), "jobId", JOB_ID),
            app_id=app_id,
            user_id=_text(payload.get("userId", record.get("userId")), "userId", USER_ID),
            fence=_number(record.get("fence"), "fence", 1, 2**53),
            image=_image(payload),
            container_port=_number(
                payload.get("containerPort") or DEFAULT_PORT, "containerPort", 1, MAX_PORT
            ),
            base_path=base_path,
            node_name=shorten(node.get("name", ""), 128),
            agent_base_url=_url(node.get("agentBaseUrl"), "runtimeNode.agentBaseUrl"),
            deploy_url=_deploy_url(record.get("deployUrl"), gateway, base_path),
        )


def _image(payload: dict[str, Any]) -> str:
    value = payload.get("image")
    if value is None or value == "":
        sentence = (
            "The job has no `image`. This runner deploys prebuilt images and does not build from a"
            " repository: push the image and send its reference as payload.image, as in"
            ' {"image": "registry.example/team/app:1", "containerPort": 8080}.'
        )
        raise StepError(reason="IMAGE_MISSING", sentence=sentence)
    if not isinstance(value, str) or len(value) > MAX_IMAGE_CHARS or not IMAGE.fullmatch(value):
        raise _invalid(
            name="image", value=value, rule="must be a reference like registry.example/team/app:1"
        )
    return value


def _base_path(value: object, app_id: str) -> str:
    wanted = f"/apps/{app_id}"
    if value is None or value == "":
        return wanted
    if not isinstance(value, str) or value.removesuffix("/") != wanted:
        raise _invalid(
            name="basePath",
            value=value,
            rule=f"must be {wanted}, the app's own place on the gateway",
        )
    return wanted


def _deploy_url(value: object, gateway: str, base_path: str) -> str:
    wanted = f"{gateway}{base_path}/"
    if value is None or value == "":
        return wanted
    if value != wanted:
        raise _invalid(
            name="deployUrl",
            value=value,
            rule=f"must be {wanted}, on the gateway of the job's node",
        )
    return wanted


def _url(value: object, name: str) -> str:
    rule = "must be an address like http://node:7005"
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS:
        raise _invalid(name, value, rule)
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as exc:
        raise _invalid(name, value, rule) from exc
    if not is_usable or parts.username or parts.query or parts.fragment:
        raise _invalid(name, value, rule)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise _invalid(name, value, rule)
    return value.rstrip("/")


def _text(value: object, name: str, grammar: re.Pattern[str]) -> str:
    """Take a string or a whole number: clients send ids as either."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not grammar.fullmatch(value):
        raise _invalid(name, value, f"must match {grammar.pattern}")
    return value


def _number(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _invalid(name, value, f"must be a whole number from {low} to {high}")
    return value


def _mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if not isinstance(value, dict):
        raise _invalid(name, value, "must be an object")
    return value


def _invalid(name: str, value: object, rule: str) -> StepError:
    shown = "missing" if value is None else f"{shorten(repr(value), 120)}"
    sentence = f"The job's `{name}` is {shown}; it {rule}. Correct it and create the job again."
    return StepError("JOB_INVALID", sentence)
