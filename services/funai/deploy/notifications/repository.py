"""Where deliveries are kept. The only SQL of this feature.

Several Deploys share the rows. Who raises ``attempts`` by a compare-and-set may send; if it ends before
it wrote down what came of that, the row is due again once the time of that try is over.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text, update

from funai.deploy.notifications.model import Delivery, DeliveryState
from funai.deploy.schema import NOW, webhook_delivery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Row, TextClause

_PENDING = webhook_delivery.c.state == DeliveryState.PENDING.value


def add(
    connection: Connection, notice_id: str, notice: str, data: dict[str, Any], ids: dict[str, str]
) -> None:
    """Add a notice for webhooks to the transaction that does what it tells; due at once.

    :param ids: each webhook's name and the id of its delivery
    """
    connection.execute(
        # One statement has one time, so that all are told the same.
        insert(webhook_delivery).values(
            [
                {
                    "delivery_id": delivery_id,
                    "notice_id": notice_id,
                    "webhook": webhook,
                    "notice": notice,
                    "at": NOW,
                    "data": json.dumps(data, separators=(",", ":")),
                    "state": DeliveryState.PENDING.value,
                    "attempts": 0,
                    "next_attempt_at": NOW,
                }
                for webhook, delivery_id in ids.items()
            ]
        )
    )


def claim(connection: Connection, webhook: str, seconds: int) -> tuple[Delivery, int] | None:
    """Take the delivery of the webhook that is due longest; return it and the time in epoch seconds.

    :param seconds: how long nobody else takes it
    """
    while True:
        row = connection.execute(
            select(webhook_delivery, func.unix_timestamp().label("now"))
            .where(
                webhook_delivery.c.webhook == webhook,
                _PENDING,
                webhook_delivery.c.next_attempt_at <= NOW,
            )
            .order_by(webhook_delivery.c.next_attempt_at, webhook_delivery.c.seq)
            .limit(1)
        ).first()
        if row is None:
            return None
        taken = connection.execute(
            update(webhook_delivery)
            .where(*_unchanged(row.seq, row.attempts), webhook_delivery.c.next_attempt_at <= NOW)
            .values(attempts=row.attempts + 1, next_attempt_at=_later(seconds))
        )
        if taken.rowcount == 1:
            return _read(row, attempts=row.attempts + 1), int(row.now)


def end(connection: Connection, tried: Delivery, status: int | None, error: str | None) -> bool:
    """Write down how a delivery ended, FAILED with an error; tell whether it was still this try's."""
    state = DeliveryState.DELIVERED if error is None else DeliveryState.FAILED
    return _settle(
        connection,
        tried,
        state=state.value,
        last_status=status,
        last_error=error,
        next_attempt_at=None,
        ended_at=NOW,
    )


def put_off(
    connection: Connection, tried: Delivery, status: int | None, error: str, seconds: float
) -> bool:
    """Let a delivery be tried again after so many seconds; tell whether it was still this try's."""
    return _settle(
        connection,
        tried,
        last_status=status,
        last_error=error,
        next_attempt_at=_later(seconds),
    )


def newest(connection: Connection, limit: int) -> list[Delivery]:
    """Return deliveries, newest first."""
    rows = connection.execute(
        select(webhook_delivery).order_by(webhook_delivery.c.seq.desc()).limit(limit)
    )
    return [_read(row) for row in rows]


def prune(connection: Connection, *, rows: int, days: int, limit: int) -> tuple[int, int]:
    """Delete what is beyond so many rows or days, oldest first; return how many went, and how many unsent.

    :param limit: rows that go at once
    """
    edge = connection.execute(
        select(webhook_delivery.c.seq).order_by(webhook_delivery.c.seq.desc()).offset(rows).limit(1)
    ).scalar()
    too_old = text("at < UTC_TIMESTAMP(6) - INTERVAL :days DAY").bindparams(days=days)
    gone = _delete_where(connection, [too_old], limit)
    if edge is not None:
        beyond = _delete_where(connection, [webhook_delivery.c.seq <= edge], limit)
        gone = (gone[0] + beyond[0], gone[1] + beyond[1])
    return gone


def _delete_where(connection: Connection, conditions: Iterable[Any], limit: int) -> tuple[int, int]:
    found = connection.execute(
        select(webhook_delivery.c.seq, webhook_delivery.c.state)
        .where(*conditions)
        .order_by(webhook_delivery.c.seq)
        .limit(limit)
    ).all()
    if found:
        connection.execute(
            delete(webhook_delivery).where(webhook_delivery.c.seq.in_([row.seq for row in found]))
        )
    return len(found), sum(row.state == DeliveryState.PENDING for row in found)


def _settle(connection: Connection, tried: Delivery, **values: Any) -> bool:  # noqa: ANN401 - columns
    settled = connection.execute(
        update(webhook_delivery).where(*_unchanged(tried.seq, tried.attempts)).values(**values)
    )
    return settled.rowcount == 1


def _unchanged(seq: int, attempts: int) -> list[ColumnElement[bool]]:
    return [webhook_delivery.c.seq == seq, _PENDING, webhook_delivery.c.attempts == attempts]


def _later(seconds: float) -> TextClause:
    later = text("UTC_TIMESTAMP(6) + INTERVAL :microseconds MICROSECOND")
    return later.bindparams(microseconds=round(seconds * 1_000_000))


def _read(row: Row[Any], attempts: int | None = None) -> Delivery:
    return Delivery(
        seq=row.seq,
        delivery_id=row.delivery_id,
        notice_id=row.notice_id,
        webhook=row.webhook,
        notice=row.notice,
        at=row.at,
        data=json.loads(row.data),
        state=DeliveryState(row.state),
        attempts=row.attempts if attempts is None else attempts,
        next_attempt_at=row.next_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
        ended_at=row.ended_at,
    )
