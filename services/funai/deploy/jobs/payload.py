"""The payload's rules. Pure.

The payload is the caller's: it is echoed with its types kept. What the platform itself reads of it is
checked here, at the door.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from funai.contract import ids
from funai.contract.source import check_fields
from funai.deploy.errors import BodyTooLargeError, InvalidRequestError

#: The column is ``text``, 65,535 bytes; room stays for what a claim adds.
MAX_PAYLOAD = 60_000
DEFAULT_USER_ID = "0"
#: Members that Deploy itself puts into the payload of a rollback.
_OWN = ("rollbackTo", "rollbackReason")


def check_payload(payload: dict[str, Any]) -> str:
    """Return the app's id.

    :raises InvalidRequestError: naming field and rule
    :raises BodyTooLargeError: where it does not fit its column
    """
    try:
        app_id = ids.app_id(payload.get("appId"))
        if payload.get("userId") is not None:
            ids.user_id(payload["userId"])
        ids.container_port(payload.get("containerPort"))
        ids.base_path(payload.get("basePath"), app_id)
        # Runners decide by their own settings whether they fetch without TLS.
        check_fields(payload, allow_http=True)
    except ids.FieldError as exc:
        msg = f"payload.{exc}"
        raise InvalidRequestError(msg) from exc
    dump(payload)
    return app_id


def refuse_own(payload: dict[str, Any]) -> None:
    """Refuse members that only Deploy may set.

    :raises InvalidRequestError: naming the member and the way to a rollback
    """
    for name in _OWN:
        if payload.get(name) is not None:
            msg = (
                f"payload.{name} is set by Deploy alone; to go back to a revision,"
                " POST /deploy/apps/{appId}/rollback"
            )
            raise InvalidRequestError(msg)


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
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def request_hash(job_type: str, payload: dict[str, Any]) -> str:
    """Return what two creates with one idempotency key must share."""
    canonical = json.dumps([job_type, payload], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
