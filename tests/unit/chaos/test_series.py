"""Counted series: what callers were told against what is there."""

from __future__ import annotations

from typing import Any

from tests.chaos.series.creates import Create, judge
from tests.chaos.series.outcome import Outcome


def create(number: int = 1, **given: Any) -> Create:
    known: dict[str, Any] = {"key": f"k{number}", "sent": [10.0], "codes": [200], "jobs": ["a"]}
    return Create(number, **{**known, **given})


def job(job_id: str = "a", number: int = 1) -> dict[str, Any]:
    return {"id": job_id, "app_id": f"wish-{number}"}


def change(old: str | None, new: str, job_id: str = "a", at: float = 10.1) -> dict[str, Any]:
    return {"job_id": job_id, "old_status": old, "new_status": new, "at": at}


LIFE = [change(None, "PENDING"), change("PENDING", "RUNNING"), change("RUNNING", "SUCCEEDED")]


def test_job_that_was_made_and_ended_is_no_violation() -> None:
    judged = judge([create()], [job()], LIFE)

    assert judged.violations == []
    assert (judged.acknowledged, judged.ambiguous) == (1, 0)


def test_acknowledged_job_that_is_not_there_is_lost() -> None:
    judged = judge([create()], [], [])

    assert judged.lost == ["job a of create 1 is not there"]


def test_two_jobs_of_one_create_are_found() -> None:
    assert judge([create()], [job(), job("b")], LIFE).not_one != []


def test_answers_with_different_jobs_are_found() -> None:
    asked_twice = create(sent=[10.0, 11.0], codes=[200, 200], jobs=["a", "b"])

    assert judge([asked_twice], [job()], LIFE).not_one != []


def test_create_with_a_key_that_was_never_answered_is_found() -> None:
    assert judge([create(codes=[0], jobs=[])], [], []).not_one != []


def test_create_without_a_key_may_stay_unanswered() -> None:
    assert judge([create(key=None, codes=[0], jobs=[])], [job()], LIFE).violations == []


def test_job_that_ended_twice_is_found() -> None:
    twice = [*LIFE, change("SUCCEEDED", "FAILED")]

    assert judge([create()], [job()], twice).not_ended_once != []


def test_job_that_never_ended_is_found() -> None:
    assert judge([create()], [job()], LIFE[:2]).not_ended_once != []


def test_commit_before_the_answered_try_is_counted() -> None:
    in_doubt = create(sent=[10.0, 12.0], codes=[0, 200])

    judged = judge([in_doubt], [job()], LIFE)

    assert (judged.ambiguous, judged.committed_unanswered) == (1, 1)


def test_commit_by_the_answered_try_is_not_counted() -> None:
    refused = create(sent=[9.0, 10.0], codes=[503, 200])

    assert judge([refused], [job()], LIFE).committed_unanswered == 0


def test_series_with_a_number_over_its_limit_has_not_passed() -> None:
    outcome = Outcome("name", "promise", "setting")
    outcome.most("claim", "2 kills", [1.0, 7.0], 6.5)

    assert not outcome.passed
    assert outcome.rows[0].measured == "7.00 s, median 4.00 s"


def test_series_without_one_duration_has_not_passed() -> None:
    outcome = Outcome("name", "promise", "setting")
    outcome.most("claim", "0 kills", [], 6.5)

    assert not outcome.passed
