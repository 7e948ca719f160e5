"""Deploy's services against the rules of a job's life, in random order over a real database.

A failure ends with the shortest steps that lead to it, ready to be run again. ``MODEL_EXAMPLES=2000``
searches longer, along other ways each time.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from funai.deploy.jobs import leases, service
from funai.deploy.jobs.candidates import candidates
from funai.deploy.jobs.leases import LeaseService
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.service import JobService
from funai.deploy.placements.repository import AppRepository
from tests.model.lifecycle import Rules
from tests.model.machine import Jobs
from tests.model.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Report
    from tests.integration.deploy_process import Schema

EXPLORE = os.environ.get("MODEL_EXAMPLES")
RULES = Rules(max_attempts=2, pause_after=2)
FIXED = settings(
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    # Not the phase "explain": it traces every line, which takes minutes here.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
SEARCH = settings(FIXED, derandomize=False, max_examples=int(EXPLORE)) if EXPLORE else FIXED
#: Found is enough: nobody has to read the steps.
MUTANT = settings(FIXED, phases=[Phase.generate])

Patch = pytest.MonkeyPatch


@pytest.fixture
def services(database: Schema) -> Iterator[Services]:
    made = Services(database, RULES)
    yield made
    made.close()


def run(services: Services, how: settings) -> None:
    # The library takes any factory; its annotation names a class only.
    make = cast("type[Jobs]", lambda: Jobs(services, RULES))
    run_state_machine_as_test(make, settings=how)


def test_services_keep_the_rules(services: Services) -> None:
    run(services, SEARCH)


def no_fence_in_reports(patch: Patch) -> None:
    kept = LeaseService.report

    def report(self: LeaseService, word: Report) -> Any:
        return kept(self, replace(word, fence=None))

    patch.setattr(LeaseService, "report", report)


def fence_stays(patch: Patch) -> None:
    kept = AppRepository.change

    def change(self: AppRepository, app_id: str, **values: Any) -> None:
        values.pop("fence", None)
        kept(self, app_id, **values)

    patch.setattr(AppRepository, "change", change)


def ended_jobs_move(patch: Patch) -> None:
    patch.setattr(service, "check_transition", lambda _job, _status: True)


def key_without_body(patch: Patch) -> None:
    patch.setattr(JobService, "_same_request", lambda _self, known, _new: known)


def attempts_for_good(patch: Patch) -> None:
    take = JobRepository.take

    def take_always(self: JobRepository, job_id: str, **values: Any) -> bool:
        return take(self, job_id, **{**values, "limit": 100})

    def all_candidates(connection: Connection, _attempts: int, limit: int, offset: int) -> Any:
        return candidates(connection, 100, limit, offset)

    patch.setattr(JobRepository, "take", take_always)
    patch.setattr(leases, "candidates", all_candidates)


@pytest.mark.parametrize(
    "mutate",
    [no_fence_in_reports, fence_stays, ended_jobs_move, key_without_body, attempts_for_good],
)
def test_a_missing_rule_is_found(
    services: Services, monkeypatch: Patch, mutate: Callable[[Patch], None]
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError) as found:
        run(services, MUTANT)
    assert "state.create(" in "\n".join(found.value.__notes__)
