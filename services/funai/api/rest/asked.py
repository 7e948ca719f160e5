"""How a request of a program is read: lenient about types, and with an error that names the field."""

from __future__ import annotations

from typing import Any

from flask import request

from funai.api.errors import InvalidInputError
from funai.contract import strict_json
from funai.contract.headers import IDEMPOTENCY_KEY

_HIGHEST_ID = 2**53 - 1


def body() -> dict[str, Any]:
    """Return the body: a JSON object whatever its type says; without one an empty one.

    :raises InvalidInputError: where it is something else
    """
    data = request.get_data(cache=False)
    if not data.strip():
        return {}
    try:
        found = strict_json.loads(data, strict_json.MAX_DEPTH)
    except ValueError as exc:
        raise InvalidInputError(field="body", rule=f"is not JSON that can be kept: {exc}") from exc
    if not isinstance(found, dict):
        raise InvalidInputError(field="body", rule="must be a JSON object")
    return found


def text(name: str) -> str | None:
    """Return a member of the query; an empty one counts as absent."""
    return (request.args.get(name) or "").strip() or None


def number(name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of the query.

    :raises InvalidInputError: where it is none, or beyond its limits
    """
    found = text(name)
    if found is None:
        return default
    if not (found.isascii() and found.isdigit()) or not low <= int(found[:18]) <= high:
        raise InvalidInputError(field=name, rule=f"must be a whole number from {low} to {high}")
    return int(found)


def user_id(value: object = None) -> int | None:
    """Return a user's id, of the query or as given; None where there is none.

    :raises InvalidInputError: where it is no id
    """
    shown = text("userId") or value
    if shown is None or shown == "":
        return None
    digits = str(shown).strip()
    valid = digits.isascii() and digits.isdigit() and 0 < int(digits[:18]) <= _HIGHEST_ID
    if isinstance(shown, bool) or not valid:
        raise InvalidInputError(field="userId", rule="must be an account's number, from 1 on")
    return int(digits)


def key() -> str | None:
    """Return the idempotency key."""
    return request.headers.get(IDEMPOTENCY_KEY)


def conflict(asked: dict[str, Any]) -> dict[str, Any]:
    """Take out of a body, or find in the query, what is to become of a job that has not ended."""
    found = {name: asked.pop(name, None) for name in ("onConflict", "supersede")}
    found |= {name: request.args[name] for name in found if name in request.args}
    return {name: value for name, value in found.items() if value is not None}
