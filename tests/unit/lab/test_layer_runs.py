from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lab.console import held_back, say
from lab.layer_runs import run_in_order

if TYPE_CHECKING:
    import pytest

    from lab.tally import Tally

WAIT_SECONDS = 10


def test_layer_that_waits_runs_beside_those_before_it_and_speaks_in_its_turn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chaos_runs = threading.Event()

    def lint(tally: Tally) -> None:
        tally.check("chaos has begun", ok=chaos_runs.wait(WAIT_SECONDS))
        say("linted")

    def chaos(tally: Tally) -> None:
        say("faults")
        chaos_runs.set()
        tally.check("faults", ok=True)

    tallies = run_in_order({"lint": lint, "chaos": chaos})

    assert [(one.layer, one.ok) for one in tallies] == [("lint", True), ("chaos", True)]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "== lint",
        "linted",
        "== lint: ok",
        "== chaos",
        "faults",
        "== chaos: ok",
    ]


def test_nothing_runs_beside_a_layer_that_is_timed() -> None:
    order: list[str] = []

    def note(tally: Tally) -> None:
        order.append(tally.layer)

    run_in_order(dict.fromkeys(("lint", "lab", "chaos"), note))

    assert order == ["lint", "lab", "chaos"]


def test_lines_that_were_held_back_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with held_back() as lines:
        say("one")
    say("two")

    assert lines == ["one"]
    assert capsys.readouterr().out == "two\n"
