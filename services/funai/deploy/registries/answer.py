"""Reading what a registry answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_WORDS = 200


def json_object(answer: requests.Response) -> dict[str, Any]:
    """Return the body's object; an empty one where there is none."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def error_code(answer: requests.Response) -> str:
    """Return the registry's own code of what is wrong, or nothing."""
    return str(_first_error(answer).get("code") or "")


def said(answer: requests.Response) -> str:
    """Return what was asked and what came back, in words, without the account."""
    words = str(_first_error(answer).get("message") or "")[:_MAX_WORDS]
    url = (answer.request.url or "").partition("://")[2].partition("?")[0]
    text = f"{answer.request.method} {url} answered {answer.status_code}"
    return f"{text}: {words}" if words else text


def _first_error(answer: requests.Response) -> Mapping[str, Any]:
    errors = json_object(answer).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return first if isinstance(first, dict) else {}
