"""The table that an acceptance run ends with: point, verdict, evidence."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Verdict = Literal["pass", "FAIL", "skipped"]
#: Rows of evidence shown of one point; all of them are in the file.
SHOWN = 4
WIDTH = 150


@dataclass
class Point:
    """One point of the acceptance list, whatever number of checks it has."""

    name: str
    passed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    skip_reasons: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """One failed check fails its point; a point is skipped where no check of it ran."""
        if self.failures:
            return "FAIL"
        return "pass" if self.passed else "skipped"

    @property
    def checks(self) -> str:
        """Say how many of the point's checks passed."""
        return f"{self.passed}/{self.passed + len(self.failures)}"

    def shown(self) -> list[str]:
        """Return the rows to show: what failed, else what was seen."""
        rows = self.failures or self.evidence or self.skip_reasons
        rest = len(rows) - SHOWN
        return [*rows[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]


class Ledger:
    """Collects what the checks saw, by point, in the order the points came up."""

    def __init__(self) -> None:
        self._points: dict[str, Point] = {}

    def point(self, name: str) -> Point:
        """Return the point of that name."""
        return self._points.setdefault(name, Point(name))

    @property
    def points(self) -> list[Point]:
        """All points, first seen first."""
        return list(self._points.values())

    def table(self) -> list[str]:
        """Return the lines of the table."""
        names = max((len(point.name) for point in self.points), default=0)
        indent = " " * (names + 18)
        lines = [f"{'point':<{names}}  {'verdict':<7}  {'checks':<6} evidence"]
        for point in self.points:
            head = f"{point.name:<{names}}  {point.verdict:<7}  {point.checks:<6} "
            for row in point.shown() or [""]:
                lines += textwrap.wrap(
                    row, WIDTH, initial_indent=head, subsequent_indent=indent
                ) or [head.rstrip()]
                head = indent
        return lines

    def write(self, path: Path) -> None:
        """Write everything that was seen as JSON."""
        rows = [
            {
                "point": point.name,
                "verdict": point.verdict,
                "passed": point.passed,
                "failures": point.failures,
                "skipped": point.skip_reasons,
                "evidence": point.evidence,
            }
            for point in self.points
        ]
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
