"""Run layers of tests in their order, and beside each other where that disturbs neither."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from lab import machine
from lab.console import elapsed, failure_text, held_back, say
from lab.process import LabError
from lab.tally import Tally

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Layer = Callable[[Tally], None]

#: A layer that waits more than it works, and those that it runs beside where they come before it.
_BESIDE = {"chaos": {"lint", "unit", "integration"}}


def run_in_order(calls: Mapping[str, Layer]) -> list[Tally]:
    """Run the layers by name; each is printed in its turn, also one that began before that."""
    tallies = []
    names = list(calls)
    with ThreadPoolExecutor() as pool:
        beside = {
            name: pool.submit(_run_held, name, calls[name])
            for place, name in enumerate(names)
            if place and set(names[:place]) <= _BESIDE.get(name, set())
        }
        for name, call in calls.items():
            if name in beside:
                tally, text = beside[name].result()
                say(text)
            else:
                tally = _run(name, call)
            tallies.append(tally)
    return tallies


def _run_held(name: str, call: Layer) -> tuple[Tally, str]:
    with held_back() as lines:
        tally = _run(name, call)
    return tally, "\n".join(lines)


def _run(name: str, call: Layer) -> Tally:
    say(f"== {name}")
    tally = Tally(name)
    started, busy = time.monotonic(), machine.busy_seconds()
    try:
        call(tally)
    except LabError as error:
        text = failure_text(name, error)
        say(text)
        tally.failures.append(text.replace("\n", " "))
    tally.seconds = time.monotonic() - started
    tally.cores = (machine.busy_seconds() - busy) / tally.seconds
    say(f"== {name}: {'ok' if tally.ok else 'FAILED'} ({elapsed(tally.seconds)})")
    return tally
