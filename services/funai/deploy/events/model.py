"""One thing that happened to a job. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Event:
    """What is recorded; sequence and time are the database's."""

    job_id: str
    app_id: str
    #: ``api``, ``runner:<id>``, ``deploy`` (the reaper) or ``migration``
    actor: str
    from_status: str | None
    #: None where the status stayed: a phase, or a reason to wait.
    to_status: str | None
    phase: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedEvent:
    """An event as it was recorded."""

    seq: int
    at: datetime
    event: Event
