"""Logs while they are written: what a reader sees once, however often the connection breaks."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from cli.errors import UnknownError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cli.deploy_api import DeployApi, Event

#: How long a connection that broke is tried again before the command gives up.
GIVE_UP_SECONDS = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
#: Lines of an app by which the place is found again after a break.
_REMEMBERED = 200
_ASKED_AGAIN = 1000
#: Deploy's own word, in an app's log, about a connection that it lost.
_LOST = "[the connection to node "


class Patience:
    """Waits between attempts, a little longer each time, and gives up in the end.

    :param note: takes a sentence for whoever waits
    """

    def __init__(
        self,
        note: Callable[[str], None],
        *,
        give_up_seconds: float = GIVE_UP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._note = note
        self._give_up = give_up_seconds
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def reset(self) -> None:
        """Something came: the next break counts anew."""
        self._since, self._pause = None, _FIRST_PAUSE

    def wait(self, error: UnreachableError | None) -> None:
        """Wait before the next attempt.

        :param error: why the last one failed; None where the answer just ended
        :raises UnreachableError: the error, where it has gone on for too long
        """
        now = self._clock()
        if self._since is None:
            self._since = now
            if error is not None:
                self._note(f"{error.reason}; goes on where it was as soon as it can")
        if error is not None and now - self._since >= self._give_up:
            raise error
        self._sleep(max(self._pause, error.retry_seconds if error else 0))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def follow_job(api: DeployApi, job_id: str, offset: int, patience: Patience) -> Iterator[Event]:
    """Yield the events of a job's log from a line on; the last one is ``end``.

    :raises UnreachableError: where Deploy stays away
    """
    while True:
        trouble = None
        try:
            for event in api.job_events(job_id, offset):
                patience.reset()
                yield event
                if event.name == "end":
                    return
                if event.next_offset is not None:
                    offset = event.next_offset
        except UnreachableError as error:
            trouble = error
        patience.wait(trouble)


def follow_app(api: DeployApi, app_id: str, tail: int, patience: Patience) -> Iterator[str | None]:
    """Yield an app's lines; None where some may be missing. Ends only when its app is gone.

    The answers have no line numbers. After a break the log's end is read once more and what was shown
    is looked for in it; the next answer then begins some lines back, up to those.

    :raises UnreachableError: where Deploy stays away
    :raises UnknownError: where there is no such app from the beginning
    """
    seen: deque[str] = deque(maxlen=_REMEMBERED)
    opened = False
    while True:
        trouble = None
        try:
            for line in (
                _resumed(api, app_id, seen) if opened else api.app_log(app_id, tail, follow=True)
            ):
                opened = True
                patience.reset()
                if line is None:
                    yield None
                elif not _is_ours(line):
                    seen.append(line)
                    yield line
            opened = True
        except UnreachableError as error:
            trouble = error
        except UnknownError:
            if not opened:
                raise
            return
        patience.wait(trouble)


def _resumed(api: DeployApi, app_id: str, seen: Sequence[str]) -> Iterator[str | None]:
    """Yield what came after what was seen, then what comes."""
    end = [line for line in api.app_log(app_id, _ASKED_AGAIN, follow=False) if not _is_ours(line)]
    fresh = unseen(list(seen), end)
    if fresh is None:
        yield None
    yield from end if fresh is None else fresh
    known = end[-_REMEMBERED:]
    held: deque[str] = deque(maxlen=max(1, len(known)))
    passed = 0
    for line in api.app_log(app_id, _ASKED_AGAIN, follow=True):
        if not known:
            yield line
            continue
        held.append(line)
        passed += 1
        if list(held) == known:
            known = []
        elif passed >= _ASKED_AGAIN:
            known = []
            yield None


def _is_ours(line: str) -> bool:
    return line.startswith(_LOST)


def unseen(seen: Sequence[str], lines: Sequence[str]) -> Sequence[str] | None:
    """Return the part of ``lines`` behind what was seen; None where that is not in them."""
    if not seen:
        return lines
    for position in range(len(lines), 0, -1):
        count = min(len(seen), position)
        if lines[position - count : position] == seen[-count:]:
            return lines[position:]
    return None
