from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.programs import Program, check_all
from lab.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _program(folder: Path, name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), folder / f"{name}.log", folder, {})


def test_each_is_reported_and_entered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("lint")
    good = _program(tmp_path, "good", "print('fine')")
    bad = _program(tmp_path, "bad", "import sys; print('two\\nlines'); sys.exit(3)")

    check_all(tally, [good, bad], at_once=2)

    printed = capsys.readouterr().out
    assert "  good: ok (" in printed
    assert "two\nlines\n  bad: FAILED (" in printed
    assert "fine" not in printed
    assert (tally.passed, tally.failures) == (1, [f"bad: exit 3, see {bad.log}"])


def test_they_run_side_by_side(tmp_path: Path) -> None:
    tally = Tally("molecule")
    # Each waits for the file that the other writes.
    meet = """
import pathlib, sys, time
mine, other = map(pathlib.Path, {names})
mine.touch()
end = time.monotonic() + 20
while not other.exists():
    sys.exit(1) if time.monotonic() > end else time.sleep(0.01)
"""
    pair = [
        _program(tmp_path, name, meet.format(names=names))
        for name, names in (("one", ["a", "b"]), ("two", ["b", "a"]))
    ]

    check_all(tally, pair, at_once=2)

    assert (tally.passed, tally.failures) == (2, [])
