"""The forms of an app's settings, and what they ask Deploy for. Pure but for the language.

Values of variables are never shown again: neither those that are stored, nor those that were just typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.api.errors import ApiError, InvalidInputError
from funai.api.web.faults import of_form
from funai.api.web.language import translate
from funai.api.web.phrases import said

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHAPE = ("containerPort", "healthPath", "memoryMib", "cpus")
#: Fields that may be filled in again after a refusal.
_KEPT = (*_SHAPE, "name", "branch", "secret")
_FIELDS = (*_SHAPE, "environment", "name", "value", "branch", "confirm")


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """Return what may be shown again of a form."""
    return {name: form[name] for name in _KEPT if name in form}


def shape(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the change of port, health path and limits; what is empty is taken away."""
    found: dict[str, Any] = {name: form.get(name, "").strip() or None for name in _SHAPE}
    return {**found, **_version(form)}


def entry(form: Mapping[str, str]) -> dict[str, Any]:
    """Return a variable.

    :raises InvalidInputError: where it has no name
    """
    name = form.get("name", "").strip()
    if not name:
        raise InvalidInputError(field="name", rule=translate("must be filled in"))
    # A browser sends line ends as CRLF; programs on Linux expect LF.
    value = form.get("value", "").replace("\r\n", "\n")
    return {"name": name, "value": value, "secret": "secret" in form}


def with_entry(stored: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the change that sets a variable and keeps the others as they are."""
    kept = [{"name": e["name"]} for e in stored["environment"] if e["name"] != changed["name"]]
    return {"environment": [*kept, dict(changed)], "ifVersion": stored["version"]}


def without(stored: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the change that takes a variable away and keeps the others as they are."""
    kept = [{"name": e["name"]} for e in stored["environment"] if e["name"] != name]
    return {"environment": kept, "ifVersion": stored["version"]}


def faults_of(refused: ApiError | None) -> tuple[dict[str, str], str | None]:
    """Return which field is wrong and why, or a sentence for the whole form."""
    if refused is None or isinstance(refused, InvalidInputError):
        return of_form(refused)
    name, _, rule = str(refused).partition(" ")
    first, _, variable = name.rstrip(":").partition(".")
    if first == "environment":
        # Its name is wrong where no name follows but a number.
        return {"name" if variable.partition(".")[0].isdigit() else "value": said(rule)}, None
    return ({first: said(rule)}, None) if first in _FIELDS else of_form(refused)


def _version(form: Mapping[str, str]) -> dict[str, int]:
    text = form.get("version", "")
    return {"ifVersion": int(text)} if text.isascii() and text.isdigit() else {}
