"""Where events are kept. The only SQL of this feature."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, text

from funai.deploy.events.model import Event, RecordedEvent
from funai.deploy.schema import NOW, job_event
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

MAX_REASON = 1024
MAX_ACTOR = 160
#: Bytes of an event's detail; a runner's ``result`` beyond it is left out.
MAX_DETAIL = 16 * 1024
#: Events that one answer holds.
MAX_EVENTS = 1000


def record(connection: Connection, event: Event) -> None:
    """Add an event to the transaction that does what it tells."""
    connection.execute(
        insert(job_event).values(
            job_id=event.job_id,
            app_id=event.app_id,
            at=NOW,
            actor=keep_head(event.actor, MAX_ACTOR),
            from_status=event.from_status,
            to_status=event.to_status,
            phase=event.phase,
            reason=None if event.reason is None else keep_head(event.reason, MAX_REASON),
            detail=_dump(event.detail),
        )
    )


def of_job(connection: Connection, job_id: str) -> list[RecordedEvent]:
    """Return a job's events, oldest first."""
    rows = connection.execute(
        select(job_event)
        .where(job_event.c.job_id == job_id)
        .order_by(job_event.c.seq)
        .limit(MAX_EVENTS)
    )
    return [_read(row) for row in rows]


def pushed_by(connection: Connection, job_id: str) -> dict[str, Any]:
    """Return what the job's newest heartbeat that named an image said of it, or nothing."""
    details = connection.execute(
        select(job_event.c.detail)
        .where(job_event.c.job_id == job_id, job_event.c.to_status.is_(None))
        .order_by(job_event.c.seq.desc())
        .limit(MAX_EVENTS)
    ).scalars()
    found = (json.loads(detail).get("result") for detail in details if detail)
    return next((result for result in found if isinstance(result, dict) and result), {})


def prune(connection: Connection, *, older_than_days: int, limit: int) -> int:
    """Delete events older than so many days; return how many went."""
    result = connection.execute(
        delete(job_event)
        .where(text("at < UTC_TIMESTAMP(6) - INTERVAL :days DAY"))
        .with_dialect_options(mysql_limit=limit),
        {"days": older_than_days},
    )
    return result.rowcount


def _dump(detail: dict[str, Any]) -> str:
    dumped = json.dumps(detail, separators=(",", ":"))
    if len(dumped) <= MAX_DETAIL:
        return dumped
    return json.dumps({"leftOut": f"{len(dumped)} bytes; an event keeps {MAX_DETAIL}"})


def _read(row: Row[Any]) -> RecordedEvent:
    return RecordedEvent(
        seq=row.seq,
        at=row.at,
        event=Event(
            job_id=row.job_id,
            app_id=row.app_id,
            actor=row.actor,
            from_status=row.from_status,
            to_status=row.to_status,
            phase=row.phase,
            reason=row.reason,
            detail=json.loads(row.detail) if row.detail else {},
        ),
    )
