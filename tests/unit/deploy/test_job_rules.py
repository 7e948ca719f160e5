"""The life of a job, and what a payload may hold."""

from __future__ import annotations

from typing import Any

import pytest

from funai.contract.status import JobStatus
from funai.deploy.errors import BodyTooLargeError, ConflictError, InvalidRequestError
from funai.deploy.jobs import render
from funai.deploy.jobs.model import Job, Report, check_transition, is_replay, lost_lease
from funai.deploy.jobs.payload import MAX_PAYLOAD, check_payload, request_hash
from funai.deploy.wire import iso_from_ms, keep_tail

STATUSES = list(JobStatus)
ALLOWED = {
    ("PENDING", "CANCELLED"),
    ("RUNNING", "SUCCEEDED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CANCELLED"),
}


def job(status: JobStatus, **values: Any) -> Job:
    return Job("j", "BUILD_AND_DEPLOY", "a", status, {"appId": "a"}, **values)


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_only_the_contracts_transitions_are_made(before: JobStatus, after: JobStatus) -> None:
    if (before, after) in ALLOWED:
        assert check_transition(job(before), after)
    elif before is after and before.ended:
        assert not check_transition(job(before), after)
    else:
        with pytest.raises(ConflictError, match="j"):
            check_transition(job(before), after)


@pytest.mark.parametrize(
    ("found", "fence", "text"),
    [
        pytest.param(job(JobStatus.CANCELLED), None, "CANCELLED", id="ended"),
        pytest.param(job(JobStatus.PENDING), None, "claim it first", id="pending"),
        pytest.param(job(JobStatus.RUNNING, runner_id="r2"), None, "r2", id="other runner"),
        pytest.param(job(JobStatus.RUNNING, runner_id="r1", fence=5), 4, "fence 5", id="fence"),
        pytest.param(job(JobStatus.RUNNING, runner_id="r1"), None, "ran out", id="expired"),
    ],
)
def test_lost_lease_says_why(found: Job, fence: int | None, text: str) -> None:
    assert text in str(lost_lease(found, "r1", fence))


@pytest.mark.parametrize(
    ("report", "same"),
    [
        pytest.param(Report("j", "r1", JobStatus.FAILED, fence=5), True, id="same"),
        pytest.param(Report("j", "r1", JobStatus.FAILED), True, id="without fence"),
        pytest.param(Report("j", "r1", JobStatus.FAILED, fence=4), False, id="older fence"),
        pytest.param(Report("j", "r2", JobStatus.FAILED), False, id="other runner"),
        pytest.param(Report("j", "r1", JobStatus.SUCCEEDED), False, id="other end"),
    ],
)
def test_replay_is_the_same_word_of_the_same_runner(report: Report, *, same: bool) -> None:
    assert is_replay(job(JobStatus.FAILED, runner_id="r1", fence=5), report) is same


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        pytest.param({"dockerfilePath": "../../etc/passwd"}, "dockerfilePath", id="dots"),
        pytest.param({"buildContext": "/etc"}, "buildContext", id="absolute"),
        pytest.param({"buildContext": "a\\b"}, "buildContext", id="backslash"),
        pytest.param({"repoUrl": "--upload-pack=touch x"}, "repoUrl", id="option"),
        pytest.param({"commit": "a\nb"}, "commit", id="line end"),
        pytest.param({"gitRef": ["x"]}, "gitRef", id="list"),
        pytest.param({"repoUrl": "x" * 3000}, "repoUrl", id="long"),
        pytest.param({"userId": "../7"}, "userId", id="user"),
    ],
)
def test_payload_that_could_do_harm_is_refused(payload: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError, match=field):
        check_payload({"appId": "a", **payload})


def test_payload_that_does_not_fit_its_column_is_refused() -> None:
    with pytest.raises(BodyTooLargeError, match=str(MAX_PAYLOAD)):
        check_payload({"appId": "a", "notes": "ä" * MAX_PAYLOAD})


def test_existing_names_and_nulls_pass() -> None:
    payload = {
        "appId": 20002, "userId": 7, "image": None, "repoSshUrl": "git@host:team/app.git",
        "gitRef": "main", "acrRegistry": "r.example", "acrNamespace": "ns", "imageTag": 12,
        "dockerfilePath": "docker/Dockerfile", "buildContext": ".", "basePath": "", "own": [1],
    }  # fmt: skip

    assert check_payload(payload) == "20002"


def test_order_of_members_does_not_make_another_request() -> None:
    one, two = {"appId": "a", "image": "b"}, {"image": "b", "appId": "a"}

    assert request_hash("T", one) == request_hash("T", two)
    assert request_hash("T", one) != request_hash("T", {**one, "image": "c"})


def test_payload_is_echoed_until_there_is_an_attempt() -> None:
    pending, running = job(JobStatus.PENDING), job(JobStatus.RUNNING, attempt=2, run_started_at=9)

    assert render.payload(pending) == {"appId": "a"}
    assert render.payload(running) == {
        "appId": "a", "attempt": 2, "runStartedAt": 9, "userId": "0",
    }  # fmt: skip


def test_text_is_bounded_with_its_tail_and_without_what_no_column_takes() -> None:
    assert keep_tail("ab\x00\x1b[31mcd", 100) == "ab[31mcd"
    assert keep_tail("x\ud800", 100) == "x?"
    assert keep_tail("0123456789", 4) == "…789"


def test_milliseconds_become_utc() -> None:
    assert iso_from_ms(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"


@pytest.mark.parametrize(
    ("status", "phase", "by_id", "expected"),
    [
        (JobStatus.RUNNING, "BUILD", "newer", True),
        (JobStatus.RUNNING, None, "newer", True),
        (JobStatus.RUNNING, "DEPLOY", "newer", False),
        (JobStatus.RUNNING, "VERIFY", "newer", False),
        (JobStatus.RUNNING, "BUILD", None, False),
        (JobStatus.CANCELLED, "BUILD", "newer", False),
    ],
)
def test_job_makes_room_only_before_the_switch(
    status: JobStatus, phase: str | None, by_id: str | None, *, expected: bool
) -> None:
    job = Job("one", "BUILD_AND_DEPLOY", "app", status, {}, phase=phase, superseded_by=by_id)

    assert job.may_be_superseded is expected
