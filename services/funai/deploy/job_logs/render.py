"""Logs of jobs as they cross the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.deploy.wire import iso_from_ms

if TYPE_CHECKING:
    from funai.deploy.job_logs.model import NumberedLine, Page


def line(found: NumberedLine) -> dict[str, Any]:
    """Return a line."""
    return {
        "n": found.number,
        "at": iso_from_ms(found.line.at_ms),
        "phase": found.line.phase,
        "text": found.line.text,
    }


def page(found: Page) -> dict[str, Any]:
    """Return a page."""
    dropped = None
    if found.dropped_from is not None:
        dropped = {"from": found.dropped_from, "to": found.dropped_to}
    return {
        "lines": [line(each) for each in found.lines],
        "next": found.next,
        "total": found.total,
        "ended": found.ended,
        "status": found.status,
        "dropped": dropped,
    }
