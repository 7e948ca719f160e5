"""Where commands write: tables for people, JSON for scripts, words about trouble to the side."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from cli import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import ProgressColumn

    from cli.errors import CliError

    #: A cell: a text, or a text and its style.
    Cell = str | tuple[str, str]

#: What takes no longer needs no word about it.
PATIENCE_SECONDS = 2.0
#: Into a pipe nothing is folded: a line there is a row.
_PIPE_WIDTH = 10_000


class View:
    """The output of one command.

    :param as_json: write for scripts
    :param utc: write points in time, not how long ago they were
    """

    def __init__(
        self,
        *,
        as_json: bool,
        utc: bool,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.as_json = as_json
        self.now = datetime.now(UTC)
        self._utc = utc
        self._file = out or sys.stdout
        self._out = _console(self._file)
        self._err = _console(err or sys.stderr)

    def when(self, at: datetime | None) -> str:
        """Return a time as this command shows times."""
        return times.absolute(at) if self._utc and at else times.ago(at, self.now)

    def clock(self, at: datetime | None) -> str:
        """Return the time of a log's line."""
        if at is None or self._utc:
            return times.absolute(at)
        return at.strftime("%H:%M:%S")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write rows under their columns; all but the last column stay in one line where they fit."""
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column.upper(), overflow="fold", no_wrap=False)
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        with self._out.capture() as capture:
            self._out.print(table)
        # Cells are filled up to their column's width, also in the last one.
        for line in capture.get().splitlines():
            self._file.write(line.rstrip() + "\n")
        self._file.flush()

    def line(self, *parts: Cell) -> None:
        """Write one line of parts, each with its style."""
        line = Text()
        for part in parts:
            line.append_text(_text(part))
        self._out.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something about the command itself, beside its output."""
        self._err.print(Text(text, style="dim"), soft_wrap=True)

    def document(self, members: dict[str, Any]) -> None:
        """Write the one document of a command for scripts."""
        self._file.write(json.dumps(members, indent=2, ensure_ascii=False) + "\n")
        self._file.flush()

    def record(self, members: dict[str, Any]) -> None:
        """Write one of many documents for scripts, as one line."""
        self._file.write(json.dumps(members, ensure_ascii=False) + "\n")
        self._file.flush()

    def fail(self, error: CliError) -> None:
        """Say why the command ends, and what to do next."""
        if self.as_json:
            self.record({"error": {"reason": error.reason, "advice": error.advice}})
        self._err.print(Text(error.reason, style="bold red"), soft_wrap=True)
        self._err.print(Text(f"  next: {error.advice}"), soft_wrap=True)

    @contextmanager
    def waiting(self, what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Show that the block goes on once it takes long; yields what to call for each step done.

        :param total: number of steps, where it is known
        """
        if not self._err.is_terminal:
            yield lambda: None
            return
        columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
        if total is not None:
            columns += [BarColumn(), MofNCompleteColumn()]
        with Progress(*columns, console=self._err, transient=True, auto_refresh=False) as progress:
            yield from _late(progress, what, total)


def _late(progress: Progress, what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Keep the bar hidden at first."""
    task = progress.add_task(what, total=total, visible=False)
    over = threading.Event()

    def show() -> None:
        pause = PATIENCE_SECONDS
        while not over.wait(pause):
            progress.update(task, visible=True, refresh=True)
            pause = 0.1

    thread = threading.Thread(target=show, name="progress", daemon=True)
    thread.start()
    try:
        yield lambda: progress.advance(task)
    finally:
        over.set()
        thread.join()


def _console(file: TextIO) -> Console:
    """Return a console that colours on a terminal only; rich itself heeds ``NO_COLOR``."""
    terminal = file.isatty()
    return Console(
        file=file,
        force_terminal=terminal,
        width=None if terminal else _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(cell: Cell) -> Text:
    return Text(cell) if isinstance(cell, str) else Text(cell[0], style=cell[1])
