"""How long Deploy, or its database, was away: what was not heard meanwhile is nobody's fault.

A node counts as fresh for one more window after Deploy is back, if it was fresh when Deploy went.
Several Deploys may share a database; each judges by what it could not hear itself.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from sqlalchemy import select, text
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.deploy.schema import NOW, alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

_ROW = 1
#: Rounds of the reaper between two notes that Deploy is here.
MARK_ROUNDS = 5


class Absence:
    """Remembers the newest absence. One thread notes it, any may ask.

    :param window: seconds that nothing is judged after Deploy is back
    :param usual: seconds between two notes, where nothing was away
    """

    def __init__(
        self, window: float, usual: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window
        self._usual = usual
        self._bearable = max(window / 3, 3 * usual)
        self._clock = clock
        #: Seconds away, and when that ended; replaced as one.
        self._last: tuple[float, float] | None = None
        #: When this process last noted that it was here.
        self._noted_at: float | None = None
        #: How many absences were noted while this process was here.
        self.count = 0

    @property
    def is_due(self) -> bool:
        """Whether it is time to note that Deploy is here; so it is after an absence."""
        return self._noted_at is None or self._clock() - self._noted_at >= self._usual

    def note(self, away: float | None) -> None:
        """Take the time since any Deploy was last here; None where none ever was.

        The first time that is a restart, however short; later only what beats may have missed.
        """
        now, noted_at = self._clock(), self._noted_at
        self._noted_at = now
        if noted_at is None:
            if away is not None:
                self._last = (away, now)
            return
        # Another Deploy may have been back, and have noted so, a moment before.
        missed = max(away or 0.0, now - noted_at)
        if missed > self._bearable:
            self._last = (missed, now)
            self.count += 1

    @property
    def lasts(self) -> bool:
        """Whether the window after the absence has not ended."""
        return self.allowance > 0

    @property
    def allowance(self) -> int:
        """Seconds that a heartbeat may be older than otherwise."""
        if self._last is None:
            return 0
        away, back_at = self._last
        since = self._clock() - back_at
        return max(1, math.ceil(away + since)) if since < self._window else 0


def mark(connection: Connection) -> float | None:
    """Note that Deploy is here; return the seconds since it last was, None where it never was."""
    age = text("TIMESTAMPDIFF(MICROSECOND, at, UTC_TIMESTAMP(6)) / 1000000")
    found = connection.execute(select(age).select_from(alive).where(alive.c.id == _ROW)).scalar()
    connection.execute(mysql_insert(alive).values(id=_ROW, at=NOW).on_duplicate_key_update(at=NOW))
    return None if found is None else max(0.0, float(found))
