"""What the person at the terminal sees."""

from __future__ import annotations

import shutil
import sys
import time
import typing as t
from contextlib import contextmanager
from contextvars import ContextVar

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.process import LabError


#: Where the lines of this thread go instead of to the terminal.
_HELD: ContextVar[list[str] | None] = ContextVar("held", default=None)


def say(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    held = _HELD.get()
    if held is not None:
        held.append(text)
        return
    # In one call, so that no other thread's line begins in the middle of it.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def held_back() -> Iterator[list[str]]:
    """Collect what this thread says in the block, to be said in one piece."""
    lines: list[str] = []
    token = _HELD.set(lines)
    try:
        yield lines
    finally:
        _HELD.reset(token)


def complain(text: str) -> None:
    """Print one line to the standard error stream."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def elapsed(seconds: float) -> str:
    """Render a duration: ``3.2 s`` or ``4 min 05 s``."""
    minute = 60
    if seconds < minute:
        return f"{seconds:.1f} s"
    return f"{int(seconds // minute)} min {int(seconds % minute):02d} s"


def failure_text(step: str, error: LabError) -> str:
    """Say what failed, where, why, and which file tells more."""
    where = f" on {error.host}" if error.host else ""
    lines = [f"FAILED: {step}{where}: {error.reason}"]
    if error.log is not None:
        lines.append(f"  log: {error.log}")
    return "\n".join(lines)


class Progress:
    """Steps of one command, each a line with what it did and how long it took."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._live = sys.stdout.isatty()
        #: Seconds by step, in order.
        self.timings: dict[str, float] = {}
        self.current = "start"

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time the block as step ``name`` and print its line when it ends."""
        self.current = name
        step = Step(name, live=self._live)
        step.note("")
        started = time.monotonic()
        yield step
        self.timings[name] = time.monotonic() - started
        step.end(self.timings[name])

    @property
    def total(self) -> str:
        """Time since the command began."""
        return elapsed(time.monotonic() - self._started)


class Step:
    """One line of a Progress; on a terminal it shows the latest note while it runs."""

    def __init__(self, name: str, *, live: bool) -> None:
        self._name = name
        self._live = live
        self.result = ""

    def note(self, text: str) -> None:
        """Show what is going on now; in a pipe nothing is printed."""
        if self._live:
            width = shutil.get_terminal_size().columns
            sys.stdout.write("\r\x1b[K" + f"  {self._name:<10} ... {text}"[: width - 1])
            sys.stdout.flush()

    def end(self, seconds: float) -> None:
        """Print the step's final line."""
        start = "\r\x1b[K" if self._live else ""
        say(f"{start}  {self._name:<10} {elapsed(seconds):>12}  {self.result}".rstrip())
