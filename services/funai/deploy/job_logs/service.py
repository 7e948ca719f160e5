"""Use cases on logs of jobs: take lines from a runner, read a page, follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.deploy.errors import NotFoundError, UnavailableError
from funai.deploy.job_logs import render
from funai.deploy.job_logs.model import Head, Line, Page
from funai.deploy.job_logs.repository import JobLogRepository
from funai.deploy.jobs.model import lost_lease
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.service import unknown_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from funai.deploy.parts import Parts

PAGE_LINES = 1000
#: How long after a job's end the rest of its log is taken.
LATE_SECONDS = 60
#: A comment goes to a follower this often, so that proxies and both ends know it lives.
KEEP_ALIVE_SECONDS = 10.0
#: How long a follower that has seen all waits for lines that the end of the job overtook.
SETTLE_SECONDS = 0.5
_DROP_BATCH = 100


@dataclass(frozen=True)
class Append:
    """Lines of one attempt; ``offset`` counts that attempt's lines from 0."""

    job_id: str
    runner_id: str
    fence: int
    offset: int
    lines: list[Line]


class JobLogService:
    """Takes, reads and follows logs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def append(self, wish: Append) -> tuple[bool, int]:
        """Take the lines that are not here yet.

        Return whether they fit, and the offset that is wanted next: where lines are missing before
        these, none is taken.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where another attempt has the job, or it ended a while ago
        """
        fits, wanted = self._parts.database.run(lambda c: self._append(c, wish))
        self._parts.log_added.ring()
        return fits, wanted

    def _append(self, connection: Connection, wish: Append) -> tuple[bool, int]:
        jobs = JobRepository(connection)
        job = jobs.get(wish.job_id)
        if job is None:
            raise unknown_job(wish.job_id)
        is_open = not job.status.ended or jobs.has_ended_within(job.id, LATE_SECONDS)
        if wish.fence != job.fence or not is_open:
            raise lost_lease(job, wish.runner_id, wish.fence)
        logs = JobLogRepository(connection)
        head = logs.lock(wish.job_id).admit(wish.fence)
        if wish.offset > head.received:
            return False, head.received
        lines = wish.lines[head.received - wish.offset :]
        if not lines:
            return True, max(head.received, wish.offset)
        limit = self._parts.settings.logs.max_bytes
        head = head.add(logs.add(head, lines), limit)
        logs.save(self._trim(logs, head, limit))
        return True, head.received

    def _trim(self, logs: JobLogRepository, head: Head, limit: int) -> Head:
        """Leave out the oldest lines behind the beginning until the log fits."""
        while head.size > limit:
            dropped = []
            for chunk in logs.oldest(head, _DROP_BATCH):
                # The newest chunk stays: it is what a follower waits for.
                if head.size <= limit or chunk.first_line + chunk.line_count >= head.next_line:
                    break
                head = head.drop(chunk)
                dropped.append(chunk)
            if not dropped:
                return head
            logs.drop(head.job_id, dropped)
        return head

    def page(self, job_id: str, offset: int, limit: int = PAGE_LINES) -> Page:
        """Return lines from ``offset`` on; those that were left out are passed over.

        :raises NotFoundError: where there is no such job
        """
        return self._parts.database.run(lambda c: self._page(c, job_id, offset, limit))

    def _page(self, connection: Connection, job_id: str, offset: int, limit: int) -> Page:
        # The job first: a line that came before its end is then seen together with the end.
        job = JobRepository(connection).get(job_id)
        if job is None:
            raise unknown_job(job_id)
        logs = JobLogRepository(connection)
        head = logs.get(job_id)
        start = head.resume(offset)
        if head.dropped_from is not None and start < head.dropped_from:
            # A page ends where lines were left out: its reader is told before it goes on.
            limit = min(limit, head.dropped_from - start)
        lines = logs.read(job_id, start, limit) if start < head.next_line else []
        first = lines[0].number if lines else max(start, min(offset, head.next_line))
        return Page(
            lines=lines,
            next=lines[-1].number + 1 if lines else first,
            total=head.next_line,
            ended=job.status.ended,
            status=job.status,
            dropped_from=head.dropped_from,
            dropped_to=head.dropped_to,
            gap=(offset, first) if first > offset else None,
        )

    def follow(
        self, job_id: str, offset: int, is_gone: Callable[[], bool]
    ) -> tuple[Iterator[str], Callable[[], None]]:
        """Return the server-sent events from ``offset`` on, and what to call when they are done.

        :param is_gone: tells whether the follower hung up
        :raises NotFoundError: where there is no such job
        :raises UnavailableError: where too many follow already
        """
        self.page(job_id, offset, 1)
        self._parts.take_log_place("ask for pages with offset")
        return self._events(job_id, offset, is_gone), self._parts.log_places.release

    def _events(self, job_id: str, offset: int, is_gone: Callable[[], bool]) -> Iterator[str]:
        status = ""
        try:
            while True:
                page = self._wait(job_id, offset, is_gone, is_over=bool(status))
                if self._parts.log_added.closed:
                    return
                if page is None and status:
                    yield _event("end", offset, {"status": status})
                    return
                if page is None:
                    yield ": alive\n\n"
                    continue
                yield from _render(page)
                offset = page.next
                status = page.status if page.ended else ""
        except (_FollowerGoneError, UnavailableError):
            # Without an end: who still listens comes back with the last id.
            return

    def _wait(
        self, job_id: str, offset: int, is_gone: Callable[[], bool], *, is_over: bool
    ) -> Page | None:
        """Return the next page once it says something new; None when it did not in time.

        :param is_over: whether the job's end was seen already; then only late lines are news
        """

        def look() -> Page | None:
            if is_gone():
                raise _FollowerGoneError
            try:
                page = self.page(job_id, offset)
            except NotFoundError:
                # Purged while it was followed: that is its end.
                page = Page([], offset, offset, ended=True, status="PURGED")
            is_news = page.lines or page.gap or (page.ended and not is_over)
            return page if is_news else None

        seconds = SETTLE_SECONDS if is_over else KEEP_ALIVE_SECONDS
        return self._parts.log_added.wait_for(look, seconds)


class _FollowerGoneError(Exception):
    """Nobody reads the events any more."""


def _render(page: Page) -> Iterator[str]:
    if page.gap:
        # The id is where the gap ends: who is cut off here has not seen the lines behind it.
        yield _event("gap", page.gap[1], {"from": page.gap[0], "to": page.gap[1]})
    if page.lines:
        yield _event("lines", page.next, {"lines": [*map(render.line, page.lines)]})


def _event(name: str, offset: int, data: dict[str, Any]) -> str:
    # https://html.spec.whatwg.org/multipage/server-sent-events.html, "event stream interpretation"
    return f"event: {name}\nid: {offset}\ndata: {json.dumps(data)}\n\n"
