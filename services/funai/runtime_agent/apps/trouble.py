"""What went wrong with single apps and containers while the others had their turn."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from funai.runtime_agent.errors import AgentError, EngineSilentError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Trouble:
    """Keeps the errors of a turn until its end."""

    def __init__(self) -> None:
        self._errors: list[AgentError | sqlite3.Error] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what the block raises, so that what comes after it is done all the same.

        :raises EngineUnavailableError: nothing else would come to anything either; not where the
            engine was silent about one thing
        """
        try:
            yield
        except EngineSilentError as error:
            self.keep(error)
        except EngineUnavailableError:
            raise
        except (AgentError, sqlite3.Error) as error:
            self.keep(error)

    def keep(self, error: AgentError | sqlite3.Error) -> None:
        """Keep an error."""
        self._errors.append(error)

    def raise_kept(self) -> None:
        """Raise what was kept: the state file's error first, else all others as one."""
        others: list[AgentError] = []
        for error in self._errors:
            if isinstance(error, sqlite3.Error):
                raise error
            others.append(error)
        if len(others) == 1:
            raise others[0]
        if others:
            raise AgentError("; ".join(dict.fromkeys(error.detail for error in others)))
