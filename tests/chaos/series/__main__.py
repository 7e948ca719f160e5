"""``python -m tests.chaos.series [NAME ...]``: faults that are counted, one kind at a time.

Each series states a promise with a number, tries it so often, and writes ``results/series/NAME.json``,
from which ``python -m tests.chaos --page`` makes the table. Exit 1 where one was not kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos import table
from tests.chaos.parts import ROOT
from tests.chaos.series.kills import database_kills, deploy_kills
from tests.chaos.series.outage import outage
from tests.chaos.series.outcome import Options, Outcome, Series, write
from tests.chaos.series.redeploys import redeploys, redeploys_control
from tests.chaos.series.restores import database_restores
from tests.chaos.series.runner_kills import runner_kills
from tests.chaos.series.upgrades import upgrades

if TYPE_CHECKING:
    from collections.abc import Sequence

SERIES = (
    Series("runner-kills", 50, runner_kills),
    Series("deploy-kills", 100, deploy_kills),
    Series("database-kills", 20, database_kills),
    Series("database-restores", 10, database_restores),
    Series("upgrades", 40, upgrades),
    Series("redeploys", 200, redeploys),
    Series("redeploys-control", 200, redeploys_control),
    Series("outage", 10, outage),
)
_INTERRUPTED = 130


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _given(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.series", description=__doc__)
    names = [series.name for series in SERIES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--rounds", type=int, help="kills or redeploys, instead of the usual number"
    )
    parser.add_argument("--seed", type=int, default=1, help="when and in which order")
    parser.add_argument("--lease", type=int, default=5, help="seconds, for runner-kills")
    parser.add_argument("--requests", type=int, default=400_000, help="for redeploys")
    parser.add_argument("--minutes", type=float, default=10.0, help="for outage")
    parser.add_argument("--no-results", action="store_true", help="write no file of results")
    given = parser.parse_args(argv)
    if unknown := sorted(set(given.names) - set(names)):
        parser.error(f"no such series: {', '.join(unknown)}; there are {', '.join(names)}")
    return given


def main(argv: Sequence[str]) -> int:
    """Run what is asked for; by default all that need no lab."""
    given = _given(argv)
    usual = [one.name for one in SERIES if one.name != "outage"]
    chosen = [one for one in SERIES if one.name in (given.names or usual)]
    kept = [_run(series, given) for series in chosen]
    return 0 if all(kept) else 1


def _run(series: Series, given: argparse.Namespace) -> bool:
    options = Options(
        seed=given.seed,
        rounds=given.rounds or series.rounds,
        requests=given.requests,
        minutes=given.minutes,
        lease_seconds=given.lease,
    )
    load, began, passed = os.getloadavg()[0], time.monotonic(), False
    # A short path: UNIX sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="series-"))
    _say(f"{series.name}: {options.rounds} rounds, seed {options.seed}")
    try:
        outcome = series.run(folder, options, _say)
        passed = outcome.passed
    finally:
        if passed:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _say(f"logs are kept in {folder}")
    _print(outcome)
    if not given.no_results:
        path = write(outcome, options, time.monotonic() - began, (load, os.getloadavg()[0]))
        _say(f"written: {path.relative_to(ROOT)}")
    return passed


def _print(outcome: Outcome) -> None:
    head = ("what", "tried", "measured", "limit", "kept")
    rows: list[tuple[str, ...]] = [
        (row.what, row.tried, row.measured, row.limit, "yes" if row.met else "NO")
        for row in outcome.rows
    ]
    lines = [*table.grid(head, rows), *(f"  VIOLATED {text}" for text in outcome.violations[:30])]
    sys.stdout.write("\n".join(lines) + "\n")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
