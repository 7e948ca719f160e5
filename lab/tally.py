"""Count tests over all layers."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from lab.console import elapsed

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass
class Tally:
    """What the checks of one layer came to."""

    layer: str
    passed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    #: How many cores were busy meanwhile, on the average.
    cores: float = 0.0
    #: What failed, each a line to read.
    failures: list[str] = field(default_factory=list)
    #: What failed beside others and passed alone: counted as passed, and always named.
    unsteady: list[str] = field(default_factory=list)

    def check(self, name: str, *, ok: bool, evidence: str = "") -> None:
        """Enter one check."""
        if ok:
            self.passed += 1
        else:
            self.failures.append(f"{name}: {evidence}" if evidence else name)

    @property
    def ok(self) -> bool:
        """A layer in which nothing ran has proved nothing."""
        return not self.failures and self.passed > 0


def read_junit(tally: Tally, report: Path, exit_code: int) -> None:
    """Enter pytest's report; an exit code that the report does not explain is a failure too."""
    for name, outcome in _outcomes(report):
        if outcome == "failed":
            tally.failures.append(name)
        elif outcome == "skipped":
            tally.skipped += 1
        else:
            tally.passed += 1
    if exit_code != 0 and not tally.failures:
        meaning = {2: "was interrupted or could not start", 5: "ran no test"}
        tally.failures.append(f"pytest {meaning.get(exit_code, 'failed')} (exit {exit_code})")


def read_second_try(tally: Tally, report: Path) -> None:
    """Enter the report of a run of those tests alone that had failed; only a pass clears one."""
    passed = {name for name, outcome in _outcomes(report) if outcome == "passed"}
    tally.unsteady = [name for name in tally.failures if name in passed]
    tally.failures = [name for name in tally.failures if name not in passed]
    tally.passed += len(tally.unsteady)


def _outcomes(report: Path) -> list[tuple[str, str]]:
    """Return each test's name and "passed", "failed" or "skipped".

    A test that failed and whose fixture then failed too is in the report twice, and here once.
    """
    found: dict[str, str] = {}
    if not report.exists():
        return []
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            found[name] = "failed"
        elif case.find("skipped") is not None:
            found.setdefault(name, "skipped")
        else:
            found.setdefault(name, "passed")
    return list(found.items())


def summary(tallies: Sequence[Tally], seconds: float) -> list[str]:
    """Return the table of layers, and as the last line the sum."""
    lines = [
        f"{'layer':<12} {'verdict':<8} {'passed':>6} {'failed':>6} {'skipped':>7}  cores  time"
    ]
    for one in tallies:
        verdict = "ok" if one.ok else "FAILED"
        counts = f"{one.passed:>6} {len(one.failures):>6} {one.skipped:>7}"
        lines.append(
            f"{one.layer:<12} {verdict:<8} {counts}  {one.cores:>5.1f}  {elapsed(one.seconds)}"
        )
    for one in tallies:
        lines += [f"  {one.layer}: {failure}" for failure in one.failures]
        lines += [
            f"  {one.layer}: passed only alone, see decision 0088: {name}" for name in one.unsteady
        ]
        if not one.failures and not one.passed:
            lines.append(f"  {one.layer}: nothing ran")
    passed = sum(one.passed for one in tallies)
    failed = sum(max(len(one.failures), int(not one.ok)) for one in tallies)
    lines += [f"all layers took {elapsed(seconds)}", f"{passed} passed, {failed} failed"]
    return lines
