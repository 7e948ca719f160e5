"""The payload's rules. Pure.

The payload is the caller's: it is echoed with its types kept. What the platform itself reads of it is
checked here, at the door.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from funai.contract import ids
from funai.deploy.errors import BodyTooLargeError, InvalidRequestError

#: The column is ``text``, 65,535 bytes; room stays for what a claim adds.
MAX_PAYLOAD = 60_000
MAX_TEXT = 2048
DEFAULT_USER_ID = "0"
_TEXTS = ("repoUrl", "repoSshUrl", "commit", "gitRef", "imageRepo", "acrRegistry", "acrNamespace")
_PATHS = ("dockerfilePath", "buildContext")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_payload(payload: dict[str, Any]) -> str:
    """Return the app's id.

    :raises InvalidRequestError: naming field and rule
    :raises BodyTooLargeError: where it does not fit its column
    """
    try:
        app_id = ids.app_id(payload.get("appId"))
        if payload.get("userId") is not None:
            ids.user_id(payload["userId"])
        if payload.get("image") is not None:
            ids.image(payload["image"])
        ids.container_port(payload.get("containerPort"))
        ids.base_path(payload.get("basePath"), app_id)
    except ids.FieldError as exc:
        msg = f"payload.{exc}"
        raise InvalidRequestError(msg) from exc
    for name in (*_TEXTS, *_PATHS, "imageTag"):
        _check_text(name, payload.get(name))
    for name in _PATHS:
        _check_path(name, payload.get(name))
    dump(payload)
    return app_id


def dump(payload: dict[str, Any]) -> str:
    """Return the payload as it is stored.

    :raises BodyTooLargeError: where it does not fit its column
    """
    text = json.dumps(payload, separators=(",", ":"))
    if len(text) > MAX_PAYLOAD:
        msg = (
            f"payload has {len(text)} bytes as JSON; Deploy keeps at most {MAX_PAYLOAD}."
            " Put large inputs into the repository or the image"
        )
        raise BodyTooLargeError(msg)
    return text


def load(text: str | None) -> dict[str, Any]:
    """Return a stored payload; empty where an earlier system left something else."""
    try:
        payload = json.loads(text or "{}")
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def request_hash(job_type: str, payload: dict[str, Any]) -> str:
    """Return what two creates with one idempotency key must share."""
    canonical = json.dumps([job_type, payload], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_text(name: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, str | int):
        msg = f"payload.{name} must be a string"
        raise InvalidRequestError(msg)
    text = str(value)
    if len(text) > MAX_TEXT or _CONTROL.search(text):
        msg = f"payload.{name} must be at most {MAX_TEXT} characters and hold no control characters"
        raise InvalidRequestError(msg)
    if text.startswith("-"):
        msg = f"payload.{name} must not begin with '-', which would make it an option"
        raise InvalidRequestError(msg)


def _check_path(name: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return
    text = str(value)
    if text.startswith("/") or "\\" in text or ".." in text.split("/"):
        msg = f"payload.{name} must be a path inside the repository, without '..' and backslashes"
        raise InvalidRequestError(msg)
