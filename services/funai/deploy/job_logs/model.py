"""A job's log: its lines, how they are packed, and what is left out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from funai.deploy.wire import clean

MAX_LINE = 8192
MAX_PHASE = 32
#: Share of a log's bytes that is kept of its beginning, where a long log is cut in the middle.
HEAD_SHARE = 0.25
#: ECMA-48: what colours a terminal or moves its cursor.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
#: Characters that turn the reading direction can make a line look like another.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Line:
    """One line: epoch milliseconds of the runner's clock, phase and text."""

    at_ms: int
    phase: str
    text: str


@dataclass(frozen=True)
class NumberedLine:
    """A line with its number in the job's log, from 0."""

    number: int
    line: Line


@dataclass(frozen=True)
class Chunk:
    """Lines that came together."""

    first_line: int
    line_count: int
    size: int


@dataclass(frozen=True)
class Head:
    """What is known of a job's log as a whole."""

    job_id: str
    #: Fence of the attempt that writes now.
    fence: int = 0
    #: Lines of this attempt that are here.
    received: int = 0
    #: Number of the next line, over all attempts.
    next_line: int = 0
    #: Bytes that are kept.
    size: int = 0
    #: Lines below this number are the beginning, which stays.
    head_lines: int = 0
    #: Lines from ``dropped_from`` to below ``dropped_to`` were left out; both None: none were.
    dropped_from: int | None = None
    dropped_to: int | None = None

    def admit(self, fence: int) -> Head:
        """Return the head for an attempt's lines: a newer attempt counts its own from 0 again."""
        return replace(self, fence=fence, received=0) if fence > self.fence else self

    def add(self, chunk: Chunk, limit: int) -> Head:
        """Return the head after a chunk; ``limit`` is the log's bound in bytes."""
        size = self.size + chunk.size
        is_beginning = self.head_lines == self.next_line and size <= limit * HEAD_SHARE
        next_line = self.next_line + chunk.line_count
        return replace(
            self,
            received=self.received + chunk.line_count,
            next_line=next_line,
            size=size,
            head_lines=next_line if is_beginning else self.head_lines,
        )

    def drop(self, chunk: Chunk) -> Head:
        """Return the head after the oldest chunk behind the beginning was left out."""
        first = chunk.first_line if self.dropped_from is None else self.dropped_from
        return replace(
            self,
            size=self.size - chunk.size,
            dropped_from=first,
            dropped_to=chunk.first_line + chunk.line_count,
        )

    def resume(self, offset: int) -> int:
        """Return where a reader who wants ``offset`` goes on: behind what was left out."""
        if self.dropped_from is None or self.dropped_to is None:
            return offset
        return self.dropped_to if self.dropped_from <= offset < self.dropped_to else offset


@dataclass(frozen=True)
class Page:
    """Some lines of a log, and where the next ones are."""

    lines: list[NumberedLine]
    #: Offset to ask for next.
    next: int
    #: Lines that the log has had so far.
    total: int
    #: Whether the job has ended.
    ended: bool
    status: str
    dropped_from: int | None = None
    dropped_to: int | None = None
    #: Lines that the reader wanted and that were left out: from, to (exclusive).
    gap: tuple[int, int] | None = None


def neutralise(text: str, length: int = MAX_LINE) -> str:
    """Return one line without control sequences, bounded."""
    plain = _DIRECTION.sub("", clean(_ANSI.sub("", text)))
    return " ".join(plain.splitlines())[:length]


def neutralise_phase(text: str) -> str:
    """Return the name of a phase; tabs separate it from the text where lines are packed."""
    return neutralise(text, MAX_PHASE).replace("\t", " ")


def pack(lines: list[Line]) -> str:
    """Return lines as one text."""
    return "".join(f"{line.at_ms}\t{line.phase}\t{line.text}\n" for line in lines)


def unpack(first_line: int, body: str) -> list[NumberedLine]:
    """Return the lines of a packed text."""
    found = []
    for number, row in enumerate(body.split("\n")[:-1], start=first_line):
        at_ms, phase, text = row.split("\t", 2)
        found.append(NumberedLine(number, Line(int(at_ms), phase, text)))
    return found
