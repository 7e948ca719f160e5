from __future__ import annotations

from pathlib import Path

import pytest

from lab.console import Progress, elapsed, failure_text
from lab.process import CommandError, LabError, run, wait_until


def test_failure_names_step_host_reason_and_log() -> None:
    error = LabError("task 'Start MariaDB': no", host="api-01", log=Path("/logs/site.log"))

    text = failure_text("site.yml", error)

    assert text == "FAILED: site.yml on api-01: task 'Start MariaDB': no\n  log: /logs/site.log"


def test_failure_without_host_or_log_says_so_by_leaving_them_out() -> None:
    assert failure_text("engine", LabError("no")) == "FAILED: engine: no"


def test_durations_are_readable() -> None:
    assert elapsed(3.24) == "3.2 s"
    assert elapsed(245) == "4 min 05 s"


def test_failed_step_is_the_one_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.step("engine") as step:
        step.result = "uses the running engine"

    with pytest.raises(CommandError), progress.step("image"):
        run(["false"])

    assert progress.current == "image"
    assert list(progress.timings) == ["engine"]
    assert "uses the running engine" in capsys.readouterr().out


def test_command_error_carries_the_end_of_what_the_program_said() -> None:
    with pytest.raises(CommandError, match=r"ended with 3: no such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_missing_program_is_named() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_waiting_ends_with_the_condition_or_the_deadline() -> None:
    answers = iter([False, True])

    assert wait_until(lambda: next(answers), seconds=5)
    assert not wait_until(lambda: False, seconds=0)
