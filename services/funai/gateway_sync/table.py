"""The route table as Deploy sends it: what is taken over, what is not, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.gateway.routes import InvalidRouteError, check_address, check_app_id

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Sequence

_OK = 200


class InvalidTableError(Exception):
    """Deploy's answer is no route table; what is known stays."""


@dataclass(frozen=True)
class Table:
    """One version of the routes."""

    version: int
    routes: dict[str, str]


@dataclass(frozen=True)
class Reading:
    """A table, and the complaints about single routes in it."""

    table: Table
    complaints: tuple[str, ...]


def read_answer(
    body: object, known: Table, allowed: Sequence[ipaddress.IPv4Network]
) -> Reading | None:
    """Return the table in Deploy's answer; None where there is nothing newer.

    A route that is not valid is left out; if its app is known, the known address stays.

    :param known: what the gateway serves now
    :raises InvalidTableError: where the answer must not replace what is known
    """
    if not isinstance(body, dict) or body.get("code") != _OK:
        msg = f"Deploy did not answer with routes: {str(body)[:300]}"
        raise InvalidTableError(msg)
    data = body.get("data")
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("routes"), list):
        msg = f"Deploy's routes are no table: {str(data)[:300]}"
        raise InvalidTableError(msg)
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        msg = f"Deploy's version is no number: {version!r}"
        raise InvalidTableError(msg)
    routes, complaints = _read_routes(data["routes"], known.routes, allowed)
    if known.routes and not routes and version < known.version:
        # A database that was made anew, not one from which every app was purged.
        msg = f"Deploy has no routes at version {version}, after version {known.version}"
        raise InvalidTableError(msg)
    return Reading(Table(version, routes), tuple(complaints))


def _read_routes(
    entries: list[Any], known: dict[str, str], allowed: Sequence[ipaddress.IPv4Network]
) -> tuple[dict[str, str], list[str]]:
    routes: dict[str, str] = {}
    complaints: list[str] = []
    for entry in entries:
        fields = entry if isinstance(entry, dict) else {}
        app_id = str(fields.get("appId", ""))
        try:
            routes[check_app_id(app_id)] = check_address(str(fields.get("address", "")), allowed)
        except InvalidRouteError as exc:
            complaints.append(f"route {str(entry)[:200]} is left out: {exc}")
            if app_id in known:
                routes[app_id] = known[app_id]
    return routes, complaints


def describe_change(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return one line per route that came, moved or went, in the order of the app ids."""
    lines = []
    for app_id in sorted({*before, *after}):
        old, new = before.get(app_id), after.get(app_id)
        if old == new:
            continue
        if old is None:
            lines.append(f"route of {app_id} came: {new}")
        elif new is None:
            lines.append(f"route of {app_id} went: {old}")
        else:
            lines.append(f"route of {app_id} moved: {old} -> {new}")
    return lines
