"""Rules for what users choose: app ids, paths, images, ports, users.

Each check returns the value as it goes on, or raises :class:`FieldError` (a ``ValueError``) with a sentence that names
the field and the rule. None of these values ever reaches a shell, a template or an option position,
but each also could without harm.
"""

from __future__ import annotations

import re

MAX_APP_ID = 63
MAX_IMAGE = 512
MAX_USER_ID = 63
MAX_PORT = 65535
DEFAULT_CONTAINER_PORT = 3000

_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# distribution/reference: [domain[:port]/]path[:tag][@digest]; path components are lower case.
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@sha256:[0-9a-f]{64})?"
)


class FieldError(ValueError):
    """A field breaks its rule; the text names both."""


def app_id(value: object) -> str:
    """Return an app's id; a whole number is the same app as its digits.

    :raises FieldError: naming the field and the rule
    """
    text = _scalar("appId", value)
    if not _APP_ID.fullmatch(text):
        msg = (
            f"appId {shown(text)} must be 1 to {MAX_APP_ID} letters, digits, _ and -,"
            " beginning with a letter or digit"
        )
        raise FieldError(msg)
    return text


def user_id(value: object) -> str:
    """Return a user's id as text.

    :raises FieldError: naming the field and the rule
    """
    text = _scalar("userId", value)
    if not _USER_ID.fullmatch(text):
        msg = (
            f"userId {shown(text)} must be 1 to {MAX_USER_ID} letters, digits, _ and -,"
            " beginning with a letter or digit"
        )
        raise FieldError(msg)
    return text


def base_path(value: object, app: str) -> str:
    """Return the app's path on the gateways, without a trailing slash.

    Only ``/apps/{appId}`` is an app's own; any other would take another app's traffic or the edge's.

    :param app: the app's id, checked already
    :raises FieldError: naming the field and the rule
    """
    only = f"/apps/{app}"
    if value is None or value == "":
        return only
    if not isinstance(value, str) or value not in {only, f"{only}/"}:
        msg = (
            f"basePath {shown(value)} must be {only} or left out:"
            " every app is served below its own id"
        )
        raise FieldError(msg)
    return only


def image(value: object) -> str:
    """Return an image reference ``[registry[:port]/]path[:tag][@sha256:...]``.

    :raises FieldError: naming the field and the rule
    """
    if not isinstance(value, str):
        msg = f"image {shown(value)} must be a string such as registry.example/team/app:1"
        raise FieldError(msg)
    if len(value) > MAX_IMAGE:
        msg = f"image has {len(value)} characters; it must have at most {MAX_IMAGE}"
        raise FieldError(msg)
    if not is_image(value):
        msg = (
            f"image {shown(value)} must be a reference such as registry.example/team/app:1:"
            " [registry[:port]/]path[:tag][@sha256:digest], the path in lower case"
        )
        raise FieldError(msg)
    return value


def is_image(text: str) -> bool:
    """Tell whether the text is an image reference."""
    return _IMAGE.fullmatch(text) is not None


def container_port(value: object) -> int:
    """Return the port an app listens on inside its container; a numeric string is accepted.

    :raises FieldError: naming the field and the rule
    """
    if value is None:
        return DEFAULT_CONTAINER_PORT
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        msg = f"containerPort {shown(value)} must be a whole number from 1 to {MAX_PORT}"
        raise FieldError(msg)
    port = int(text)
    if not 1 <= port <= MAX_PORT:
        msg = f"containerPort {port} must be from 1 to {MAX_PORT}"
        raise FieldError(msg)
    return port


def _scalar(field: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        given = "nothing" if value is None else shown(value)
        msg = f"{field} must be a string or a whole number, not {given}"
        raise FieldError(msg)
    return str(value)


def shown(value: object) -> str:
    """Return a foreign value for an error text: ASCII, in quotes, bounded."""
    """Return a value as error texts show it: in ASCII and short."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a terminal
