"""What a counted series came to, as a value, a file and a line of a table."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.chaos import results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = results.FOLDER / "series"
#: Enough to understand what went wrong; all of them would hide it.
_KEPT = 30


@dataclass(frozen=True)
class Row:
    """One number that was promised, and what was measured."""

    what: str
    tried: str
    measured: str
    limit: str
    met: bool


@dataclass
class Outcome:
    """What one series came to."""

    name: str
    promise: str
    #: What was real, what was not, and with which settings.
    setting: str
    rows: list[Row] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def count(self, what: str, tried: str, found: int, limit: int = 0) -> None:
        """Note a number of things that must not be more than the limit."""
        self.rows.append(Row(what, tried, str(found), f"at most {limit}", found <= limit))

    def most(self, what: str, tried: str, seconds: list[float], limit: float) -> None:
        """Note the longest of some durations, which must not exceed the limit."""
        longest = max(seconds, default=float("inf"))
        middle = statistics.median(seconds) if seconds else longest
        measured = f"{longest:.2f} s, median {middle:.2f} s"
        self.rows.append(Row(what, tried, measured, f"at most {limit:g} s", longest <= limit))

    def say(self, what: str, tried: str, measured: str) -> None:
        """Note a number that is told, not promised."""
        self.rows.append(Row(what, tried, measured, "", met=True))

    def fail_unless(self, what: str, tried: str, measured: str, limit: str, *, met: bool) -> None:
        """Note a number with a limit of its own kind."""
        self.rows.append(Row(what, tried, measured, limit, met))

    @property
    def passed(self) -> bool:
        """Whether everything was as promised."""
        return not self.violations and all(row.met for row in self.rows)


@dataclass(frozen=True)
class Options:
    """What a series is asked for."""

    seed: int
    #: Kills, or redeploys; each series has a number of its own.
    rounds: int
    requests: int
    minutes: float
    lease_seconds: int


@dataclass(frozen=True)
class Series:
    """A series that can be asked for by its name."""

    name: str
    rounds: int
    run: Callable[[Path, Options, Callable[[str], None]], Outcome]


def write(outcome: Outcome, options: Options, seconds: float, load: tuple[float, float]) -> Path:
    """Write the outcome in place of the series' last one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{outcome.name}.json"
    kept: dict[str, Any] = {
        **asdict(outcome),
        "violations": outcome.violations[:_KEPT],
        "violationCount": len(outcome.violations),
        "passed": outcome.passed,
        "seed": options.seed,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": results.machine(),
        "loadBefore": round(load[0], 2),
        "loadAfter": round(load[1], 2),
    }
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path
