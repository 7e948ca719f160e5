"""When to try again what failed, so that one app or container takes no turn from the others."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.runtime_agent.errors import AgentError, EngineSilentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class _Delays:
    """Seconds until the second try, doubled for each later one up to the longest."""

    first: float
    longest: float


_AFTER_FAILURE = _Delays(5, 60)
#: Each try holds up everything else for as long as the engine may take to answer.
_AFTER_SILENCE = _Delays(60, 300)


@dataclass(frozen=True)
class _Rest:
    until: float
    delay: float
    error: AgentError


class Backoff:
    """What failed lately, by name, and until when it is left alone.

    :param clock: seconds that never go back
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests: dict[str, _Rest] = {}

    def is_resting(self, name: str) -> bool:
        """Return whether it is too early for another try."""
        return name in self._rests and self._clock() < self._rests[name].until

    def put_off(self, name: str, error: AgentError) -> None:
        """Note that a try failed."""
        delays = _AFTER_SILENCE if isinstance(error, EngineSilentError) else _AFTER_FAILURE
        last = self._rests.get(name)
        delay = (
            delays.first if last is None else min(max(last.delay * 2, delays.first), delays.longest)
        )
        self._rests[name] = _Rest(self._clock() + delay, delay, error)

    def forget(self, name: str) -> bool:
        """Note that all is well with it; return whether it was not before."""
        return self._rests.pop(name, None) is not None

    @contextmanager
    def after_silence(self, name: str) -> Iterator[None]:
        """Run the block, but not soon again where the engine gave no answer in it.

        :raises EngineSilentError: of the block, or without running it that of the last try
        """
        if self.is_resting(name):
            raise self._rests[name].error
        try:
            yield
        except EngineSilentError as error:
            self.put_off(name, error)
            raise
        self.forget(name)
