"""Threads that services cannot do without."""

from __future__ import annotations

import threading

from funai.background import keep_running

SECONDS = 10


def test_work_that_raises_begins_again_until_it_returns() -> None:
    outcomes = iter([ValueError("first"), OSError("second"), None])
    begun: list[object] = []

    def work() -> None:
        outcome = next(outcomes)
        begun.append(outcome)
        if outcome is not None:
            raise outcome

    thread = keep_running("worker", work, threading.Event(), pause_seconds=0.01)
    thread.join(SECONDS)

    assert not thread.is_alive()
    assert [str(outcome) for outcome in begun] == ["first", "second", "None"]


def test_stop_ends_the_pause_before_the_next_beginning() -> None:
    stop, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        raise ValueError

    thread = keep_running("worker", work, stop, pause_seconds=10 * SECONDS)
    assert begun.wait(SECONDS)
    stop.set()
    thread.join(SECONDS)

    assert not thread.is_alive()
