"""A job as the steps use it: every field checked, nothing taken on trust. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from funai.contract import ids
from funai.contract.release import release_of
from funai.contract.source import SourceKind, SourceSpec
from funai.contract.status import JOB_TYPE
from funai.runner.build_settings import BuildSettings
from funai.runner.model import JOB_ID
from funai.runner.steps.step import StepError, shorten

MAX_FENCE = 2**53
MAX_URL_CHARS = 1024
_FULL_SHA = re.compile(r"[0-9a-f]{40}")
_SOURCES = ("image", "repoUrl", "repoSshUrl", "archiveUrl")


@dataclass(frozen=True)
class DeployJob:
    """What to deploy, where, and by which right."""

    job_id: str
    app_id: str
    user_id: str
    fence: int
    #: What to deploy; empty until it is built.
    image: str
    source: SourceSpec
    #: Of the built image, without a tag; empty where nothing is built.
    image_repository: str
    container_port: int
    base_path: str
    node_name: str
    agent_base_url: str
    #: Where the app answers through the node's gateway; ends in ``/``.
    deploy_url: str
    #: Number of the app's revision; None where Deploy gives none.
    revision: int | None
    #: The commit that an image is said to be of; of a built image it is not known yet.
    commit: str | None

    @property
    def builds(self) -> bool:
        """Whether the image is built from a source."""
        return self.source.kind is not SourceKind.IMAGE

    @property
    def health_url(self) -> str:
        """Where the app says that it is well, through the node's gateway."""
        return f"{self.deploy_url.rstrip('/')}{self.source.health_path}"

    def release(self, commit: str | None) -> str | None:
        """Return the word by which the app's answers name this revision."""
        return None if self.revision is None else release_of(self.revision, commit)

    @classmethod
    def parse(cls, record: dict[str, Any]) -> DeployJob:
        """Check a job file's content; the raw ``data`` of a claim is taken too.

        :raises StepError: reason ``JOB_INVALID`` or ``IMAGE_MISSING``, naming field and rule
        """
        try:
            return cls._parse(record)
        except ids.FieldError as exc:
            sentence = f"The job cannot be done: {exc}. Correct it and create the job again."
            raise StepError(reason="JOB_INVALID", sentence=sentence) from exc

    @classmethod
    def _parse(cls, record: dict[str, Any]) -> DeployJob:
        payload, node = _mapping(record, "payload"), _mapping(record, "runtimeNode")
        kind = record.get("type") or JOB_TYPE
        if kind != JOB_TYPE:
            raise _refused(name="type", value=kind, rule=f"must be {JOB_TYPE}")
        app_id = ids.app_id(payload.get("appId", record.get("appId")))
        user_id = ids.user_id(payload.get("userId", record.get("userId")))
        settings = BuildSettings.from_json(record.get("build"))
        source = _source(payload, settings)
        repository = _repository(source, settings, user_id, app_id)
        gateway = _url(node.get("gatewayBaseUrl"), "runtimeNode.gatewayBaseUrl")
        base_path = ids.base_path(payload.get("basePath"), app_id)
        return cls(
            job_id=_job_id(record.get("jobId", record.get("id"))),
            app_id=app_id,
            user_id=user_id,
            fence=_fence(record.get("fence")),
            image=source.image or "",
            source=source,
            image_repository=repository,
            container_port=ids.container_port(payload.get("containerPort")),
            base_path=base_path,
            node_name=shorten(node.get("name", ""), 128),
            agent_base_url=_url(node.get("agentBaseUrl"), "runtimeNode.agentBaseUrl"),
            deploy_url=_deploy_url(record.get("deployUrl"), gateway, base_path),
            revision=_revision(record.get("revision")),
            commit=source.commit if _FULL_SHA.fullmatch(source.commit) else None,
        )


def builds(payload: dict[str, Any]) -> bool:
    """Tell whether a payload, checked or not, is one to build from."""
    return not payload.get("image")


def _source(payload: dict[str, Any], settings: BuildSettings) -> SourceSpec:
    if not any(payload.get(name) for name in _SOURCES) and payload.get("source") != "archive":
        sentence = (
            "The job has no `image`, no `repoUrl` and no `archiveUrl`, so there is nothing to deploy."
            " Send the reference of an image as payload.image, as in"
            ' {"image": "registry.example/team/app:1", "containerPort": 8080}, or a repository as'
            " payload.repoUrl with payload.commit."
        )
        raise StepError(reason="IMAGE_MISSING", sentence=sentence)
    return SourceSpec.parse(payload, allow_http=settings.git_allow_http)


def _repository(source: SourceSpec, settings: BuildSettings, user_id: str, app_id: str) -> str:
    if source.kind is SourceKind.IMAGE:
        return ""
    if not settings.registry:
        sentence = (
            "The job has no `image`, and this runner does not build: it has no registry to push to"
            " (RUNNER_REGISTRY). Push the image and send its reference as payload.image, or have the"
            " operators set the registry."
        )
        raise StepError(reason="BUILD_NOT_CONFIGURED", sentence=sentence)
    return source.image_repository(settings.registry, settings.namespace, user_id, app_id)


def _revision(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FENCE:
        raise _refused(name="revision", value=value, rule="must be a whole number from 1")
    return value


def _deploy_url(value: object, gateway: str, base_path: str) -> str:
    wanted = f"{gateway}{base_path}/"
    if value is None or value == "":
        return wanted
    if value != wanted:
        raise _refused(
            name="deployUrl",
            value=value,
            rule=f"must be {wanted}, on the gateway of the job's node",
        )
    return wanted


def _url(value: object, name: str) -> str:
    rule = "must be an address like http://node:7005"
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS:
        raise _refused(name, value, rule)
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as exc:
        raise _refused(name, value, rule) from exc
    if not is_usable or parts.username or parts.query or parts.fragment:
        raise _refused(name, value, rule)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise _refused(name, value, rule)
    return value.rstrip("/")


def _job_id(value: object) -> str:
    if not isinstance(value, str) or not JOB_ID.fullmatch(value):
        raise _refused(name="jobId", value=value, rule="must be 1 to 64 letters, digits, _ and -")
    return value


def _fence(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FENCE:
        raise _refused(
            name="fence", value=value, rule="must be a whole number from 1, as the claim gave it"
        )
    return value


def _mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if not isinstance(value, dict):
        raise _refused(name, value, "must be an object")
    return value


def _refused(name: str, value: object, rule: str) -> ids.FieldError:
    shown = "is missing and" if value is None else shorten(repr(value), 120)
    return ids.FieldError(f"{name} {shown} {rule}")
