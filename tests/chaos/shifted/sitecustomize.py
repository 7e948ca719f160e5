"""A wall clock that is wrong: first on ``PYTHONPATH`` of a process with ``CHAOS_CLOCK_SHIFT``.

Only the wall clock: clocks that cannot be set (monotonic, since boot) go on as on a real host.
"""

from __future__ import annotations

import datetime as dt
import os
import time

_SHIFT = float(os.environ.get("CHAOS_CLOCK_SHIFT", "0"))
_time, _time_ns, _clock_gettime = time.time, time.time_ns, time.clock_gettime


class _Datetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _Datetime:
        return cls.fromtimestamp(time.time(), tz)


def _shifted_gettime(clock: int) -> float:
    return _clock_gettime(clock) + (_SHIFT if clock == time.CLOCK_REALTIME else 0)


if _SHIFT:
    time.time = lambda: _time() + _SHIFT
    time.time_ns = lambda: _time_ns() + int(_SHIFT * 1e9)
    time.clock_gettime = _shifted_gettime
    dt.datetime = _Datetime  # type: ignore[misc]
