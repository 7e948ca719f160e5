"""Apps as the API entry knows them: whose they are, and what they are deployed from. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from funai.api.errors import InvalidInputError
from funai.contract import ids
from funai.contract.source import check_fields

MAX_NAME = 80
#: Members of a payload that say what to deploy. The form offers them again.
SOURCE_FIELDS = (
    "source",
    "image",
    "repoUrl",
    "commit",
    "archiveUrl",
    "sha256",
    "dockerfilePath",
    "buildContext",
    "buildArgs",
    "imageRepo",
)


@dataclass(frozen=True)
class App:
    """An app and its owner."""

    app_id: str
    owner_id: int
    name: str
    #: Members of :data:`SOURCE_FIELDS` as they were last asked for.
    source: dict[str, Any] = field(default_factory=dict)
    #: Pushes to this branch deploy the app; None: none do.
    hook_branch: str | None = None


def check_app_id(value: str) -> str:
    """Return an app's id.

    :raises InvalidInputError: where it breaks the rule
    """
    try:
        return ids.app_id(value.strip())
    except ids.FieldError as exc:
        raise InvalidInputError(
            field="appId", rule=str(exc).removeprefix("appId").strip(" :")
        ) from exc


def check_app_name(value: str) -> str:
    """Return an app's name for people.

    :raises InvalidInputError: where it is empty, too long or not printable
    """
    name = " ".join(value.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInputError(
            field="name", rule=f"must have 1 to {MAX_NAME} printable characters"
        )
    return name


def check_source(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a payload says of its source, checked.

    :raises InvalidInputError: naming the field
    """
    source = {name: payload[name] for name in SOURCE_FIELDS if payload.get(name) not in (None, "")}
    try:
        check_fields(source, allow_http=True)
    except ids.FieldError as exc:
        name, _, rule = str(exc).partition(" ")
        raise InvalidInputError(name.rstrip(":"), rule or str(exc)) from exc
    return source


def dump_source(source: dict[str, Any]) -> str:
    """Return the source as it is stored."""
    return json.dumps(source, separators=(",", ":"), sort_keys=True)


def load_source(text: str | None) -> dict[str, Any]:
    """Return a stored source."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
