"""Ships a job's log to Deploy while the job runs: in order, each line once, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from funai.runner.client import CONFLICT, NOT_FOUND, OK
from funai.runner.errors import DeployUnreachableError
from funai.runner.heartbeat import Backoff
from funai.runner.log_line import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.runner.client import Answer, DeployClient
    from funai.runner.lease import Clock
    from funai.runner.model import ClaimedJob

#: A follower sees a line at most this much later than it could.
BATCH_SECONDS = 0.1
MAX_BATCH_LINES = 1000
MAX_BATCH_BYTES = 512 * 1024
MAX_BUFFER_BYTES = 4 * 1024 * 1024
ANSWER_SECONDS = 4.0
FIRST_RETRY_SECONDS = 0.2
MAX_RETRY_SECONDS = 2.0
#: While Deploy takes lines, a job that prints faster than they travel is slowed down. A Deploy that
#: took none for so long does not hold the job up: then lines are left out.
PATIENCE_SECONDS = 2.0
#: How long the end of a job may wait for its last lines to arrive.
FINISH_SECONDS = 5.0
_METHOD_NOT_ALLOWED = 405
_TOO_LARGE = 413
#: An older Deploy, which keeps no logs.
_NO_ENDPOINT = frozenset({NOT_FOUND, _METHOD_NOT_ALLOWED})
#: Answers after which the same call may do better.
_RETRIED = frozenset({408, 425, 429})


class LineBuffer:
    """The lines that Deploy has not taken yet. When full it drops from its middle, and counts."""

    def __init__(self, max_bytes: int = MAX_BUFFER_BYTES) -> None:
        self._half = max_bytes // 2
        self._head: deque[LogLine] = deque()
        self._tail: deque[LogLine] = deque()
        self._head_bytes = self._tail_bytes = self._dropped = 0

    def __len__(self) -> int:
        return len(self._head) + len(self._tail)

    def has_room(self, line: LogLine) -> bool:
        """Tell whether the line fits without dropping another."""
        return self._fits_head(line) or self._tail_bytes + line.size() <= self._half

    def add(self, line: LogLine) -> None:
        """Add a line; the oldest beyond the first half may have to go."""
        if self._fits_head(line):
            self._head.append(line)
            self._head_bytes += line.size()
            return
        self._tail.append(line)
        self._tail_bytes += line.size()
        while self._tail_bytes > self._half:
            self._tail_bytes -= self._tail.popleft().size()
            self._dropped += 1

    def first(self, max_lines: int, max_bytes: int) -> list[LogLine]:
        """Return the next lines to send; the same ones again until :meth:`drop_first`."""
        if not self._head:
            self._refill()
        batch: list[LogLine] = []
        for line in self._head:
            max_bytes -= line.size()
            if batch and (len(batch) == max_lines or max_bytes < 0):
                break
            batch.append(line)
        return batch

    def drop_first(self, count: int) -> None:
        """Forget lines that have arrived."""
        for _ in range(min(count, len(self._head))):
            self._head_bytes -= self._head.popleft().size()

    def replace_first(self, line: LogLine) -> None:
        """Have another line in the place of the next one."""
        self._head_bytes += line.size() - self._head[0].size()
        self._head[0] = line

    def _fits_head(self, line: LogLine) -> bool:
        return not self._tail and self._head_bytes + line.size() <= self._half

    def _refill(self) -> None:
        if self._dropped:
            first = self._tail[0]
            text = f"[{self._dropped} lines left out: Deploy did not take them in time]"
            self._tail.appendleft(LogLine(first.at_ms, first.phase, text))
            self._tail_bytes += self._tail[0].size()
        self._head, self._tail = self._tail, deque()
        self._head_bytes, self._tail_bytes, self._dropped = self._tail_bytes, 0, 0


class LogShipper:
    """Sends the lines of one attempt from a thread of its own.

    :param note: told once when Deploy takes no lines of this attempt any more, and why
    """

    def __init__(
        self,
        job: ClaimedJob,
        client: DeployClient,
        note: Callable[[str], object],
        clock: Clock = time.monotonic,
    ) -> None:
        self._job = job
        self._client = client
        self._note = note
        self._clock = clock
        self._changed = threading.Condition()
        self._buffer = LineBuffer()
        self._offset = 0
        #: Lines of the next batch; fewer where Deploy, or a proxy before it, found one too large.
        self._most_lines = MAX_BATCH_LINES
        #: The line that took the place of one which was too large even alone.
        self._stand_in: LogLine | None = None
        self._ends_at: float | None = None
        self._is_off = False
        self._taken_at = clock()
        self._thread = threading.Thread(target=self._ship, name=f"log-{job.job_id}", daemon=True)
        self._thread.start()

    def add(self, line: LogLine) -> None:
        """Take a line; wait for room while Deploy takes lines."""
        with self._changed:
            if not self._buffer:
                self._taken_at = self._clock()
            while not self._is_off and not self._buffer.has_room(line):
                left = self._taken_at + PATIENCE_SECONDS - self._clock()
                if left <= 0 or self._ends_at is not None:
                    break
                self._changed.wait(left)
            if not self._is_off:
                self._buffer.add(line)
                self._changed.notify_all()

    def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Send what is left within so many seconds, then stop."""
        with self._changed:
            self._ends_at = self._clock() + seconds
            self._changed.notify_all()
        self._thread.join(timeout=seconds + 0.5)

    def _ship(self) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        try:
            while batch := self._next_batch():
                sent_at = self._clock()
                if self._send(batch):
                    backoff.reset()
                    self._pause(sent_at + BATCH_SECONDS - self._clock(), until_end=True)
                else:
                    self._pause(backoff.pause(), until_end=False)
        finally:
            self._client.close()
            with self._changed:
                self._is_off = True
                self._buffer = LineBuffer()
                self._changed.notify_all()

    def _next_batch(self) -> list[LogLine]:
        """Wait for lines; none says that it is over."""
        with self._changed:
            while not self._is_off and not self._is_over():
                if self._buffer:
                    return self._buffer.first(self._most_lines, MAX_BATCH_BYTES)
                if self._ends_at is not None:
                    return []
                self._changed.wait()
        return []

    def _is_over(self) -> bool:
        return self._ends_at is not None and self._clock() >= self._ends_at

    def _pause(self, seconds: float, *, until_end: bool) -> None:
        """Wait; with ``until_end`` no longer than until there is no more to come."""
        wake_at = self._clock() + seconds
        with self._changed:
            while not self._is_off and not self._is_over():
                if until_end and (self._ends_at is not None or self._is_batch_full()):
                    return
                left = min(wake_at, self._ends_at or wake_at) - self._clock()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _is_batch_full(self) -> bool:
        return len(self._buffer) >= MAX_BATCH_LINES

    def _send(self, batch: list[LogLine]) -> bool:
        """Send once; False says that it is worth another try, after a while."""
        body = {
            "fence": self._job.fence,
            "offset": self._offset,
            "lines": [line.to_wire() for line in batch],
        }
        left = ANSWER_SECONDS if self._ends_at is None else self._ends_at - self._clock()
        try:
            answer = self._client.append_log(
                self._job.job_id, body, max(0.2, min(ANSWER_SECONDS, left))
            )
        except DeployUnreachableError as exc:
            if exc.status == _TOO_LARGE:
                return self._send_less(batch, str(exc))
            if exc.status in _NO_ENDPOINT:
                self._switch_off("")
            return False
        if answer.code == _TOO_LARGE:
            return self._send_less(batch, f"{answer.code}: {answer.message}")
        return self._take_answer(answer, len(batch))

    def _send_less(self, batch: list[LogLine], why: str) -> bool:
        """Halve what is sent next; a line that is too large alone is left out, which the log says."""
        first = batch[0]
        if len(batch) > 1:
            self._most_lines = len(batch) // 2
            return True
        if first is self._stand_in:
            # Whatever is sent is too large.
            self._switch_off(why)
            return False
        text = "[1 line left out: it was too large to send]"
        self._stand_in = LogLine(first.at_ms, first.phase, text)
        with self._changed:
            self._buffer.replace_first(self._stand_in)
        return True

    def _take_answer(self, answer: Answer, sent: int) -> bool:
        following = answer.data.get("next") if isinstance(answer.data, dict) else None
        if answer.code == OK or (answer.code == CONFLICT and isinstance(following, int)):
            self._most_lines = min(MAX_BATCH_LINES, 2 * self._most_lines)
            self._advance(following if isinstance(following, int) else self._offset + sent)
            return answer.code == OK
        if answer.code in _NO_ENDPOINT:
            self._switch_off("")
        elif answer.code not in _RETRIED and answer.code < 500:  # noqa: PLR2004 - HTTP's classes
            self._switch_off(f"{answer.code}: {answer.message}")
        return False

    def _advance(self, following: int) -> None:
        """Go on at the line that Deploy waits for; it has those before, or has lost them."""
        with self._changed:
            arrived = following - self._offset
            self._buffer.drop_first(max(0, arrived))
            self._offset = following
            if arrived > 0:
                self._taken_at = self._clock()
            self._changed.notify_all()

    def _switch_off(self, why: str) -> None:
        with self._changed:
            self._is_off = True
            self._changed.notify_all()
        if why:
            self._note(why)
