from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tally import Tally, read_junit, summary

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit" name="good"/>
<testcase classname="tests.unit" name="bad"><failure message="x"/></testcase>
<testcase classname="tests.unit" name="left_out"><skipped/></testcase>
</testsuite></testsuites>"""


def test_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(REPORT)
    tally = Tally("unit")

    read_junit(tally, report, 1)

    assert (tally.passed, tally.skipped, tally.failures) == (1, 1, ["tests.unit::bad"])


def test_layer_that_ran_no_test_has_failed(tmp_path: Path) -> None:
    tally = Tally("unit")

    read_junit(tally, tmp_path / "none.xml", 5)

    assert not tally.ok
    assert tally.failures == ["pytest ran no test (exit 5)"]


def test_exit_code_that_no_test_explains_is_a_failure(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text('<testsuites><testsuite><testcase name="good"/></testsuite></testsuites>')
    tally = Tally("unit")

    read_junit(tally, report, 3)

    assert not tally.ok


def test_last_line_adds_up_all_layers() -> None:
    good = Tally("unit", passed=3)
    bad = Tally("lint", passed=1, failures=["ruff check ."])
    empty = Tally("bench")

    lines = summary([good, bad, empty], 75)

    assert lines[-1] == "4 passed, 2 failed"
    assert any(line.startswith("lint") and "FAILED" in line for line in lines)
    assert "  bench: nothing ran" in lines
