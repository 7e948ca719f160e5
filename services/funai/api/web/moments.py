"""Times as people read them: how long ago, how long, and exactly when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from funai.api.web.language import translate, translate_number

if TYPE_CHECKING:
    from flask import Flask

Moment = str | int | float | datetime | None

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Days after which the date says more than their number.
_MANY_DAYS = 45


def install(app: Flask) -> None:
    """Give templates the filters."""
    app.jinja_env.filters.update(ago=ago, absolute=absolute, iso=iso, duration=duration)


def now_ms() -> int:
    """Return the time in epoch milliseconds, by which browsers set their clocks of steps."""
    return int(datetime.now(UTC).timestamp() * 1000)


def moment(value: Moment) -> datetime | None:
    """Return a time of the wire (ISO 8601 or epoch milliseconds) or of the database, in UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromtimestamp(value / 1000, UTC)


def iso(value: Moment) -> str:
    """Return a time for programs; browsers make the reader's own time of it."""
    found = moment(value)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found else ""


def absolute(value: Moment) -> str:
    """Return a time to the second."""
    found = moment(value)
    return found.strftime("%Y-%m-%d %H:%M:%S UTC") if found else ""


def ago(value: Moment, now: datetime | None = None) -> str:
    """Return how long ago a time was; one to come counts as now."""
    found = moment(value)
    if found is None:
        return ""
    seconds = int(((now or datetime.now(UTC)) - found).total_seconds())
    if seconds < _MINUTE:
        return translate("just now")
    if seconds >= _MANY_DAYS * _DAY:
        return found.strftime("%Y-%m-%d")
    return _in_units(seconds)


def duration(seconds: float | None) -> str:
    """Return how long something took."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return translate("%(s)s s") % {"s": whole}
    if whole < _HOUR:
        return translate("%(m)s min %(s)s s") % {"m": whole // _MINUTE, "s": whole % _MINUTE}
    return translate("%(h)s h %(m)s min") % {"h": whole // _HOUR, "m": whole % _HOUR // _MINUTE}


def _in_units(seconds: int) -> str:
    if seconds < _HOUR:
        return _number("%(n)s minute ago", "%(n)s minutes ago", seconds // _MINUTE)
    if seconds < _DAY:
        return _number("%(n)s hour ago", "%(n)s hours ago", seconds // _HOUR)
    return _number("%(n)s day ago", "%(n)s days ago", seconds // _DAY)


def _number(singular: str, plural: str, number: int) -> str:
    return translate_number(singular, plural, number) % {"n": number}
