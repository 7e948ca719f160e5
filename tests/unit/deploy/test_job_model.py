"""Every state that two jobs and two runners can come to, whatever is late, doubled or lost.

The model is ``tests/model``; that Deploy's services do what it says is the state machine's part in
``tests/integration/deploy/test_state_machine.py``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from funai.contract.status import ACTIVE, JobStatus
from funai.deploy.jobs.model import _NEXT
from tests.model.exploration import Exploration, explore, stuck
from tests.model.lifecycle import ENDED, NEXT, App, Grant, Job, Rules, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTEMPTS = 2


@pytest.fixture(scope="module")
def explored() -> Exploration:
    return explore(Rules(max_attempts=ATTEMPTS, pause_after=1))


def test_no_state_breaks_an_invariant(explored: Exploration) -> None:
    sys.stdout.write(f"{len(explored.seen)} states, {explored.steps} steps\n")
    assert explored.violation is None, str(explored.violation)


def test_a_job_ends_although_every_runner_that_had_it_is_gone(explored: Exploration) -> None:
    left = stuck(explored)
    assert not left, "\n".join(explored.trace(left[0]))


def test_the_model_and_the_code_have_one_table(explored: Exploration) -> None:
    """The code's table, the model's, and what happens in the model are the same."""
    code = _pairs({str(old): {str(new) for new in after} for old, after in _NEXT.items()})
    assert _pairs(NEXT) == code
    assert explored.moves == code
    assert {str(status) for status in JobStatus if status not in ACTIVE} == ENDED


def _pairs(table: Mapping[str, frozenset[str] | set[str]]) -> set[tuple[str, str]]:
    return {(old, new) for old, after in table.items() for new in after}


class NoFenceInReports(Rules):
    def report(self, app: App, grant: Grant, status: str) -> Step:
        job = app.jobs[grant.job]
        if job.status != "RUNNING" or job.runner != grant.runner:
            return super().report(app, grant, status)
        return Step(self._end(app, grant.job, status, by=grant.fence), is_accepted=True)


class SecondJobBesideTheFirst(Rules):
    def create(self, app: App, *, supersede: bool) -> Step:
        return Step(app._replace(jobs=(*app.jobs, Job())), is_accepted=True)


class FenceStays(Rules):
    def next_fence(self, app: App) -> int:
        return max(1, app.fence)


class EndsAgain(Rules):
    def move(self, app: App, number: int, status: str) -> Step:
        return Step(self._end(app, number, status), is_accepted=True)


class ClaimsForGood(Rules):
    def has_attempts(self, job: Job) -> bool:
        return True


class AgentWithoutFence(Rules):
    def agent_takes(self, fence: int, newest: int) -> bool:
        return True


class EndTakesNoFence(Rules):
    def _end(self, app: App, number: int, status: str, by: int | None = None) -> App:
        ended = super()._end(app, number, status, by)
        return ended._replace(fence=app.fence, closing=min(ended.closing, app.fence))


class SupersededIsNotReaped(Rules):
    def reap(self, app: App) -> App:
        running = app.active("RUNNING")
        waits = running is not None and app.jobs[running].rival is not None
        return app if waits else super().reap(app)


def test_a_report_without_fence_is_found_on_the_shortest_way() -> None:
    """The same runner claims again what it lost: only the fence tells its two words apart."""
    found = explore(NoFenceInReports(max_attempts=ATTEMPTS)).violation
    assert found is not None
    sys.stdout.write(f"{found}\n")
    assert found.invariant.startswith("H2")
    assert found.trace == (
        "create job 0 or be refused",
        "runner A claims job 0 with fence 1",
        "the lease runs out",
        "runner A claims job 0 with fence 2",
        "the report FAILED of runner A (fence 1) arrives",
    )


@pytest.mark.parametrize(
    ("mutant", "invariant"),
    [
        (EndsAgain, "I2"),
        (SecondJobBesideTheFirst, "I3"),
        (FenceStays, "I4"),
        (AgentWithoutFence, "I5"),
        (ClaimsForGood, "I7"),
        (EndTakesNoFence, "I17"),
    ],
)
def test_a_missing_rule_breaks_its_invariant(mutant: type[Rules], invariant: str) -> None:
    found = explore(mutant(max_attempts=ATTEMPTS)).violation
    assert found is not None
    assert found.invariant.startswith(invariant), str(found)


def test_a_job_that_waits_for_good_is_found() -> None:
    assert stuck(explore(SupersededIsNotReaped(max_attempts=1)))
