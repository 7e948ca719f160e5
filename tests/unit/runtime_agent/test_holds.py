"""Who gets an app first, whoever asked first."""

from __future__ import annotations

import pytest

from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.errors import StaleFenceError


def test_older_request_does_not_end_a_newer_one_that_was_faster() -> None:
    holds = Holds()
    with holds.take("shop", "deploy of 7", wait_seconds=1, cancel=True, fence=7) as newer:
        with (
            pytest.raises(StaleFenceError, match="newer than this request"),
            holds.take("shop", "close", wait_seconds=1, cancel=True, fence=6),
        ):
            pytest.fail("it got the hold")
        newer.check()


@pytest.mark.parametrize("fence", [7, 8, None])
def test_request_that_is_not_older_ends_the_one_before(fence: int | None) -> None:
    holds = Holds()
    with holds.take("shop", "deploy of 7", wait_seconds=1, cancel=True, fence=7) as older:
        with (
            pytest.raises(Exception, match="busy"),
            holds.take("shop", "stop", wait_seconds=0.05, cancel=True, fence=fence),
        ):
            pytest.fail("it got the hold")
        with pytest.raises(StaleFenceError, match="gave way"):
            older.check()
