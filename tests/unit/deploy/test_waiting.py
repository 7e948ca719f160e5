"""Waiting for work: woken, bounded, ended."""

from __future__ import annotations

import threading
import time

import pytest

from funai.deploy.errors import UnavailableError
from funai.deploy.waiting import RECHECK_SECONDS, Bell

#: One after the other they would take half a minute, which no busy machine takes for all at once.
FOLLOWERS = 40


def test_what_is_there_is_returned_at_once() -> None:
    assert Bell(1, "claims").wait_for(lambda: 5, 30) == 5


def test_without_a_wait_one_look_is_all() -> None:
    looks: list[int] = []

    assert Bell(1, "claims").wait_for(lambda: looks.append(1), 0) is None
    assert looks == [1]


def test_ring_wakes_those_who_wait() -> None:
    bell, ready, found = Bell(4, "claims"), threading.Event(), []
    looked = threading.Event()

    def look() -> str | None:
        looked.set()
        return "work" if ready.is_set() else None

    threads = [
        threading.Thread(target=lambda: found.append(bell.wait_for(look, 20))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert looked.wait(5)
    ready.set()
    bell.ring()
    for thread in threads:
        thread.join(10)

    assert found == ["work"] * 3
    assert bell.waiting == 0


def test_one_too_many_is_refused_but_may_look() -> None:
    bell = Bell(0, "claims")

    assert bell.wait_for(lambda: 1, 5) == 1
    with pytest.raises(UnavailableError, match="claims"):
        bell.wait_for(lambda: None, 5)


def test_closed_bell_lets_nobody_wait() -> None:
    bell = Bell(1, "claims")
    bell.close()

    assert bell.wait_for(lambda: None, 30) is None


def test_place_is_free_again_after_an_error() -> None:
    bell = Bell(1, "claims")
    looks = iter([None, RuntimeError("away")])

    def look() -> None:
        found = next(looks)
        if found is not None:
            raise found

    with pytest.raises(RuntimeError, match="away"):
        bell.wait_for(look, 5)
    assert bell.waiting == 0


def test_each_looks_for_itself_where_each_waits_for_something_else() -> None:
    bell = Bell(FOLLOWERS, "followers", each=True)
    looks = [0] * FOLLOWERS

    def look(number: int) -> bool | None:
        looks[number] += 1
        return True if looks[number] == 4 else None

    found: list[bool | None] = []
    threads = [
        threading.Thread(
            target=lambda number=number: found.append(bell.wait_for(lambda: look(number), 60))
        )
        for number in range(FOLLOWERS)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert found == [True] * FOLLOWERS
    # Three rechecks, for all of them at the same time.
    assert time.monotonic() - began < FOLLOWERS * 3 * RECHECK_SECONDS / 2
