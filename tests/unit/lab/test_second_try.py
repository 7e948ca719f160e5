"""Real runs of pytest over small folders of tests: what a second try may clear, and what not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lab import layout, pytest_runs
from lab.tally import Tally, read_second_try, summary

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "def test_broken():\n    assert False\n"
#: Fails once, as a test does that was starved; `seen` is a file that tells the tries apart.
STARVED = """
import pathlib

def test_starved():
    seen = pathlib.Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
SIDE_BY_SIDE = ("--numprocesses=2", "--dist=loadscope")
GOOD = "def test_good():\n    assert True\n"


Run = Callable[..., Tally]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run files of tests as the integration layer does; returns the tally."""
    monkeypatch.setattr(layout, "LOGS", tmp_path / "logs")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/pytest.ini").write_text("[pytest]\n")

    def run_files(**files: str) -> Tally:
        for name, text in files.items():
            (tmp_path / f"tests/test_{name}.py").write_text(text)
        tally = Tally("integration")
        pytest_runs.beside_each_other(tally, str(tmp_path / "tests"), {}, SIDE_BY_SIDE)
        return tally

    return run_files


def test_what_failed_beside_others_and_passes_alone_is_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(starved=STARVED, good=GOOD)

    assert tally.ok
    assert (tally.passed, tally.failures) == (2, [])
    assert tally.unsteady == ["test_starved::test_starved"]
    lines = summary([tally], 1)
    assert (
        "  integration: passed only alone, see decision 0088: test_starved::test_starved" in lines
    )
    assert lines[-1] == "2 passed, 0 failed"
    assert "assert not True" in capsys.readouterr().out


def test_what_fails_alone_too_has_failed(run: Run) -> None:
    tally = run(broken=BROKEN, starved=STARVED)

    assert not tally.ok
    assert tally.failures == ["test_broken::test_broken"]
    assert tally.unsteady == ["test_starved::test_starved"]
    assert summary([tally], 1)[-1] == "1 passed, 1 failed"


def test_many_failures_get_no_second_try(run: Run) -> None:
    tally = run(one=STARVED, two=STARVED.replace("seen", "two"), three=BROKEN)

    assert len(tally.failures) == 3
    assert tally.unsteady == []


def test_file_that_cannot_be_read_has_failed(run: Run) -> None:
    tally = run(torn="def test_torn(:\n", good=GOOD)

    assert not tally.ok
    assert tally.unsteady == []


def test_second_try_that_ran_nothing_clears_nothing(tmp_path: Path) -> None:
    tally = Tally("integration", passed=1, failures=["tests.a::test_a", "tests.b::test_b"])
    report = tmp_path / "junit.xml"
    report.write_text(
        '<testsuite><testcase classname="tests.a" name="test_a"><skipped/></testcase></testsuite>'
    )

    read_second_try(tally, report)

    assert tally.failures == ["tests.a::test_a", "tests.b::test_b"]
    assert tally.passed == 1
