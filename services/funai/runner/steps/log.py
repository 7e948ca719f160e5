"""Where steps write what they do: the pipe to the supervisor, or by hand a file beside the job's."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, Self

from funai.runner.log_line import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from funai.runner.redaction import Redactor


class StepLog:
    """``with StepLog(...) as log``: one phase's lines. A log that cannot be written stops nothing."""

    def __init__(
        self, path: Path, phase: str, redactor: Redactor, clock: Callable[[], float] = time.time
    ) -> None:
        self._phase = phase
        self._redactor = redactor
        self._clock = clock
        self._descriptor = -1
        # A pipe that nobody reads must not hold the job up.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, flags, 0o600)
            self._is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
            os.set_blocking(self._descriptor, True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def say(self, text: str) -> None:
        """Write a line, or several."""
        if self._descriptor < 0:
            return
        # Before it is cut: half a secret would not be known as one.
        for part in self._redactor.clean(text).splitlines():
            line = LogLine(int(self._clock() * 1000), self._phase, part)
            shown = line.to_pipe() if self._is_pipe else f"{self._phase}: {part}\n".encode()
            with contextlib.suppress(OSError):
                os.write(self._descriptor, shown)
