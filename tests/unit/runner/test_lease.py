"""The lease's clock, moved by hand."""

from __future__ import annotations

import pytest

from funai.runner.lease import Lease


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_lease_counts_from_before_the_request() -> None:
    clock = Clock()
    clock.now = 1020  # the claim waited for 20 s

    lease = Lease(30, 1000, clock)

    assert lease.seconds_to_renewal() == 0
    assert lease.seconds_to_abandon() == pytest.approx(4)


def test_lease_is_given_up_at_80_percent() -> None:
    clock = Clock()
    lease = Lease(30, clock.now, clock)

    clock.now += 23.9
    held = lease.loss
    clock.now += 0.2

    assert held == ""
    assert "80%" in lease.loss


def test_renewal_counts_from_when_it_was_sent() -> None:
    clock = Clock()
    lease = Lease(30, 1000, clock)
    clock.now = 1015

    lease.renew(1010)

    assert lease.seconds_to_abandon() == pytest.approx(19)
    assert lease.seconds_to_renewal() == pytest.approx(5)


def test_late_answer_to_an_older_heartbeat_does_not_shorten_the_lease() -> None:
    lease = Lease(30, 1000, Clock())

    lease.renew(1020)
    lease.renew(1010)

    assert lease.seconds_to_abandon() == pytest.approx(44)


def test_loss_that_deploy_declared_stays_whatever_comes_after() -> None:
    clock = Clock()
    lease = Lease(30, clock.now, clock)

    lease.lose("409: cancelled")
    lease.lose("409: other")
    lease.renew(clock.now)

    assert lease.loss == "409: cancelled"
