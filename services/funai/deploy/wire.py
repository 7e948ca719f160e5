"""How times and texts cross the wire and fit a column. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Tabs and line ends stay; what could move a terminal's cursor or forge a log line goes.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
CUT = "…"


def iso(at: datetime | None) -> str | None:
    """Render a time of the database, which is UTC and naive, as ISO 8601 with ``Z``."""
    return None if at is None else f"{at.isoformat(timespec='microseconds')}Z"


def iso_from_ms(epoch_ms: int | None) -> str | None:
    """Render epoch milliseconds as ISO 8601 with ``Z``."""
    if epoch_ms is None:
        return None
    at = _EPOCH + timedelta(milliseconds=epoch_ms)
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def to_ms(at: datetime | None) -> int | None:
    """Return a time of the database as epoch milliseconds."""
    if at is None:
        return None
    return (at.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def clean(text: str) -> str:
    """Drop control characters and lone surrogates, which no column takes."""
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())


def keep_tail(text: str, length: int) -> str:
    """Bound a text to ``length`` characters; of a longer one the end stays, where errors are."""
    text = clean(text)
    return text if len(text) <= length else CUT + text[-(length - 1) :]


def keep_head(text: str, length: int) -> str:
    """Bound a text to ``length`` characters; of a longer one the beginning stays."""
    text = clean(text)
    return text if len(text) <= length else text[: length - 1] + CUT
