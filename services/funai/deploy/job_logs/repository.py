"""Where logs of jobs are kept. The only SQL of this feature."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.deploy.job_logs.model import Chunk, Head, Line, NumberedLine, pack, unpack
from funai.deploy.schema import NOW, job_log, job_log_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

#: Chunks that are looked at to fill one page.
_CHUNKS = 1000
#: Bytes of lines that one page holds at most, beside its first chunk.
PAGE_BYTES = 1024 * 1024
_COLUMNS = ("fence", "received", "next_line", "size", "head_lines", "dropped_from", "dropped_to")


class JobLogRepository:
    """Rows of a job's log in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, job_id: str) -> Head:
        """Return the log's head; an empty one where nothing came yet."""
        row = self._connection.execute(select(job_log).where(job_log.c.job_id == job_id)).first()
        return Head(job_id) if row is None else _head(row)

    def lock(self, job_id: str) -> Head:
        """Return the head, made where it is missing, locked until the transaction ends."""
        query = select(job_log).where(job_log.c.job_id == job_id).with_for_update()
        row = self._connection.execute(query).first()
        if row is None:
            self._connection.execute(
                mysql_insert(job_log)
                .values(**_values(Head(job_id)), job_id=job_id, update_time=NOW)
                .on_duplicate_key_update(update_time=NOW)
            )
            row = self._connection.execute(query).one()
        return _head(row)

    def save(self, head: Head) -> None:
        """Write the head, which this transaction has locked."""
        self._connection.execute(
            update(job_log)
            .where(job_log.c.job_id == head.job_id)
            .values(**_values(head), update_time=NOW)
        )

    def add(self, head: Head, lines: list[Line]) -> Chunk:
        """Add lines behind the last one."""
        body = pack(lines)
        chunk = Chunk(head.next_line, len(lines), len(body.encode()))
        self._connection.execute(
            insert(job_log_chunk).values(
                job_id=head.job_id,
                first_line=chunk.first_line,
                line_count=chunk.line_count,
                size=chunk.size,
                body=body,
            )
        )
        return chunk

    def oldest(self, head: Head, limit: int) -> list[Chunk]:
        """Return the oldest chunks behind the log's beginning."""
        behind = max(head.head_lines, head.dropped_to or 0)
        return self._chunks(head.job_id, behind, limit)

    def drop(self, job_id: str, chunks: Sequence[Chunk]) -> None:
        """Delete chunks."""
        firsts = [chunk.first_line for chunk in chunks]
        self._connection.execute(
            delete(job_log_chunk).where(
                job_log_chunk.c.job_id == job_id, job_log_chunk.c.first_line.in_(firsts)
            )
        )

    def read(self, job_id: str, offset: int, limit: int) -> list[NumberedLine]:
        """Return at most ``limit`` lines from ``offset`` on, oldest first."""
        wanted = self._page(job_id, offset, limit)
        if not wanted:
            return []
        rows = self._connection.execute(
            select(job_log_chunk.c.first_line, job_log_chunk.c.body)
            .where(
                job_log_chunk.c.job_id == job_id,
                job_log_chunk.c.first_line >= wanted[0].first_line,
                job_log_chunk.c.first_line <= wanted[-1].first_line,
            )
            .order_by(job_log_chunk.c.first_line)
        )
        lines = [line for row in rows for line in unpack(row.first_line, row.body)]
        return [line for line in lines if line.number >= offset][:limit]

    def _page(self, job_id: str, offset: int, limit: int) -> list[Chunk]:
        """Return the chunks that hold the page, bounded in lines and bytes."""
        holds_offset = (
            select(job_log_chunk.c.first_line)
            .where(job_log_chunk.c.job_id == job_id, job_log_chunk.c.first_line <= offset)
            .order_by(job_log_chunk.c.first_line.desc())
            .limit(1)
        )
        start = self._connection.execute(holds_offset).scalar()
        page: list[Chunk] = []
        lines = size = 0
        for chunk in self._chunks(job_id, offset if start is None else int(start), _CHUNKS):
            if chunk.first_line + chunk.line_count <= offset:
                continue
            if page and (lines >= limit or size + chunk.size > PAGE_BYTES):
                break
            page.append(chunk)
            lines += chunk.line_count
            size += chunk.size
        return page

    def _chunks(self, job_id: str, first_line: int, limit: int) -> list[Chunk]:
        columns = (job_log_chunk.c.first_line, job_log_chunk.c.line_count, job_log_chunk.c.size)
        rows = self._connection.execute(
            select(*columns)
            .where(job_log_chunk.c.job_id == job_id, job_log_chunk.c.first_line >= first_line)
            .order_by(job_log_chunk.c.first_line)
            .limit(limit)
        )
        return [Chunk(row.first_line, row.line_count, row.size) for row in rows]


def delete_logs(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete the logs of jobs."""
    for table in (job_log_chunk, job_log):
        connection.execute(delete(table).where(table.c.job_id.in_(job_ids)))


def delete_old_logs(connection: Connection, *, older_than_days: int, limit: int) -> int:
    """Delete the logs that were last written longer ago; return how many, at most ``limit``."""
    too_old = text("update_time < UTC_TIMESTAMP(6) - INTERVAL :days DAY")
    rows = connection.execute(
        select(job_log.c.job_id).where(too_old).limit(limit), {"days": older_than_days}
    )
    job_ids = [row.job_id for row in rows]
    if job_ids:
        delete_logs(connection, job_ids)
    return len(job_ids)


def _values(head: Head) -> dict[str, Any]:
    found = asdict(head)
    return {name: found[name] for name in _COLUMNS}


def _head(row: Row[Any]) -> Head:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return Head(job_id=values["job_id"], **{name: values[name] for name in _COLUMNS})
