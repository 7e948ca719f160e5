"""Times and sizes as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds in a unit, largest first.
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_KILO = 1000


def from_iso(text: str | None) -> datetime | None:
    """Return a time of the wire, or None where there is none."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def from_ms(epoch_ms: int | None) -> datetime | None:
    """Return epoch milliseconds as a time."""
    return None if epoch_ms is None else _EPOCH + timedelta(milliseconds=epoch_ms)


def iso(at: datetime | None) -> str | None:
    """Return a time as scripts read it: ISO 8601, UTC, with ``Z``."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def absolute(at: datetime | None) -> str:
    """Return a time as people read it: ``2026-11-25 15:06:52 UTC``."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago something was; a clock that runs ahead counts as now."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    return "now" if seconds < 1 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """Return a duration by its largest unit, with the next one below ten."""
    left = int(seconds)
    for position, (size, name) in enumerate(_UNITS):
        if left < size:
            continue
        count, rest = divmod(left, size)
        smaller, smaller_name = _UNITS[position + 1] if name != "min" else (1, "s")
        part = rest // smaller
        ten = 10
        return (
            f"{count} {name} {part} {smaller_name}" if count < ten and part else f"{count} {name}"
        )
    return f"{left} s"


def size(number: float | None) -> str:
    """Return a number of bytes in the unit that fits: ``74 GB``."""
    if number is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if number < _KILO:
            return f"{number:.0f} {unit}"
        number /= _KILO
    return f"{number:.1f} TB"
