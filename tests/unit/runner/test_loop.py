"""The supervisor's claims."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from funai.runner.client import OK, Answer
from funai.runner.loop import Supervisor

SECONDS = 10


class BrokenOnce:
    """A client whose first claim goes wrong in a way that nobody expected."""

    def __init__(self) -> None:
        self.claims = 0
        self.claimed_again = threading.Event()

    def claim(self, **_kwargs: object) -> Answer:
        self.claims += 1
        if self.claims == 1:
            raise MemoryError
        self.claimed_again.set()
        return Answer(OK, "", None)


def test_claims_go_on_after_an_error_that_nobody_expected() -> None:
    client, stop = BrokenOnce(), threading.Event()
    around: Any = SimpleNamespace(
        settings=SimpleNamespace(parallel_jobs=1, lease_seconds=30, wait_seconds=0),
        state=SimpleNamespace(leftovers=list),
        reachability=SimpleNamespace(found=lambda: None),
        new_client=lambda: client,
        clock=time.monotonic,
    )

    Supervisor(around, stop).start()

    assert client.claimed_again.wait(SECONDS)
    stop.set()
