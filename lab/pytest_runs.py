"""Run folders of tests with pytest, and enter what came of them in a layer's tally."""

from __future__ import annotations

import typing as t

from lab import layout
from lab.console import say
from lab.process import follow
from lab.tally import Tally, read_junit, read_second_try

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Environment = Mapping[str, str | None]

#: So many failures may come from the cores that files of tests share; more are no chance.
_TRIED_AGAIN = 2
#: pytest's exit code where tests failed and nothing else was wrong.
_TESTS_FAILED = 1


def in_one(
    tally: Tally, folder: str, environment: Environment, options: Sequence[str] = ()
) -> None:
    """Run the tests of ``folder``; what fails has failed."""
    report = _report(tally.layer)
    read_junit(tally, report, _run(tally.layer, folder, environment, options))


def beside_each_other(
    tally: Tally, folder: str, environment: Environment, options: Sequence[str]
) -> None:
    """Run the tests of ``folder``, and one or two that failed once more, alone.

    What passes then counts as passed and stays named in the tally.
    """
    code = _run(tally.layer, folder, environment, options)
    read_junit(tally, _report(tally.layer), code)
    if code != _TESTS_FAILED or len(tally.failures) > _TRIED_AGAIN:
        return
    say(f"-- {len(tally.failures)} failed beside others: once more, alone")
    alone = f"{tally.layer}-alone"
    _run(alone, folder, environment, ("--last-failed", "--last-failed-no-failures=none"))
    read_second_try(tally, _report(alone))


def _report(name: str) -> Path:
    return layout.LOGS / f"junit-{name}.xml"


def _run(name: str, folder: str, environment: Environment, options: Sequence[str]) -> int:
    report = _report(name)
    report.unlink(missing_ok=True)
    argv = [str(layout.BIN / "pytest"), folder, f"--junitxml={report}", *options]
    log = layout.LOGS / f"{name}.log"
    return follow(argv, log, env=environment, cwd=layout.ROOT, on_line=say)
