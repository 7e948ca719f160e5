"""``python -m tests.chaos``: run the platform under faults and judge it. Exit 1 on a violation."""

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

from tests.chaos import mutants, results, table
from tests.chaos.parts import ROOT
from tests.chaos.run import Options, run

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = ROOT / "docs" / "guarantees.md"
#: Jobs, apps, clients, stale actors of each kind, and the longest time in seconds.
TIERS = {"smoke": (500, 40, 40, 1000, 1200.0), "full": (10_000, 60, 60, 1000, 3600.0)}
_INTERRUPTED = 130


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--tier", choices=sorted(TIERS), default="smoke")
    parser.add_argument("--seed", type=int, default=1, help="gives the same plan again")
    parser.add_argument("--jobs", type=int, help="instead of the tier's number")
    parser.add_argument("--stale", type=int, help="stale actors of each kind")
    parser.add_argument("--only", nargs="*", default=[], metavar="CODE", help="kinds of fault")
    parser.add_argument("--services", type=Path, default=ROOT / "services", help="another tree")
    parser.add_argument("--no-results", action="store_true", help="write no file of results")
    parser.add_argument("--keep", action="store_true", help="keep logs and histories")
    parser.add_argument("--page", action="store_true", help="only make the page's tables anew")
    parser.add_argument("--mutants", action="store_true", help="prove that defects are caught")
    parser.add_argument("--defect", nargs="*", default=[], metavar="WORD", help="only these")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    if options.page:
        PAGE.write_text(table.page(PAGE.read_text(), results.FOLDER))
        return 0
    if options.mutants:
        return mutants.main(options.seed, _say, options.services.resolve(), options.defect)
    return _run_tier(options)


def _run_tier(options: argparse.Namespace) -> int:
    jobs, apps, clients, stale, seconds = TIERS[options.tier]
    wanted = Options(
        seed=options.seed,
        jobs=options.jobs or jobs,
        apps=apps,
        clients=clients,
        stale=stale if options.stale is None else options.stale,
        services=options.services.resolve(),
        only=frozenset(options.only),
        limit_seconds=seconds,
    )
    load = os.getloadavg()[0]
    # A short path: UNIX sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    clean = False
    try:
        result = results.as_json(run(folder, wanted, _say), options.tier, load)
        clean = results.passed(result)
    finally:
        if options.keep or not clean:
            _say(f"logs and histories are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write("\n".join(table.text(result)) + "\n")
    if not options.no_results:
        sys.stdout.write(f"written: {results.write(result).relative_to(ROOT)}\n")
    return 0 if clean else 1


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
