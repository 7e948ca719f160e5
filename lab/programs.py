"""Checks that are programs of their own, side by side, each reported in one piece as it ends."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from lab.console import elapsed, say
from lab.process import follow, tail

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lab.tally import Tally

#: How much of a failed program's output is shown; all of it is in its log.
_SHOWN_LINES = 100


@dataclass(frozen=True)
class Program:
    """What to run, where, and the file that keeps its output."""

    name: str
    argv: tuple[str, ...]
    log: Path
    cwd: Path
    env: Mapping[str, str]


def check_all(tally: Tally, programs: Iterable[Program], *, at_once: int) -> None:
    """Run all ``programs``, started in their order; enter and print how each ended."""
    with ThreadPoolExecutor(at_once) as pool:
        for call in as_completed([pool.submit(_run, program) for program in programs]):
            program, code, seconds = call.result()
            verdict = "ok" if code == 0 else "FAILED"
            lines = [f"  {program.name}: {verdict} ({elapsed(seconds)})"]
            if code != 0:
                lines.insert(0, tail(program.log.read_text(errors="replace"), _SHOWN_LINES))
            say("\n".join(lines))
            tally.check(program.name, ok=code == 0, evidence=f"exit {code}, see {program.log}")


def _run(program: Program) -> tuple[Program, int, float]:
    started = time.monotonic()
    code = follow(program.argv, program.log, env=program.env, cwd=program.cwd)
    return program, code, time.monotonic() - started
