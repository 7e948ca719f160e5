"""A job's steps out of its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from funai.api.web.timeline import Step, steps_of

BEGIN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
GIT = {"repoUrl": "https://git.test/x"}


def event(second: int, status: str | None = None, phase: str | None = None, **more: Any) -> Any:
    at = (BEGIN + timedelta(seconds=second)).isoformat()
    return {"at": at, "toStatus": status, "phase": phase, "reason": None, "detail": {}, **more}


def job(status: str, **payload: Any) -> dict[str, Any]:
    return {"status": status, "payload": payload}


def brief(steps: list[Step], now: int = 100) -> list[tuple[str, str, float | None]]:
    at = BEGIN + timedelta(seconds=now)
    return [(step.phase, str(step.state), step.seconds(at)) for step in steps]


CLAIM: dict[str, Any] = {"detail": {"attempt": 1}}


def test_a_waiting_job_has_all_before_it() -> None:
    events = [event(0, "PENDING"), event(2, reason="no node")]

    steps = steps_of(job("PENDING", **GIT), events)

    assert brief(steps) == [
        ("QUEUED", "now", 100),
        *((phase, "next", None) for phase in ("CLONE", "BUILD", "PUSH", "DEPLOY", "VERIFY")),
    ]
    assert steps[0].note == "no node"


def test_the_moment_between_claim_and_first_phase_is_no_step() -> None:
    events = [event(0, "PENDING"), event(3, "RUNNING", **CLAIM), event(4, phase="DEPLOY")]

    steps = steps_of(job("RUNNING", image="x"), events)

    assert brief(steps) == [("QUEUED", "done", 3), ("DEPLOY", "now", 96), ("VERIFY", "next", None)]


def test_a_job_that_fails_before_any_phase_failed_in_its_start() -> None:
    events = [event(0, "PENDING"), event(3, "RUNNING", **CLAIM), event(9, "FAILED")]

    assert brief(steps_of(job("FAILED"), events)) == [("QUEUED", "done", 3), ("START", "failed", 6)]


def test_a_cancelled_job_ended_where_it_was() -> None:
    events = [event(0, "PENDING"), event(8, "CANCELLED")]

    assert brief(steps_of(job("CANCELLED"), events)) == [("QUEUED", "ended", 8)]


def test_a_new_try_begins_anew_after_the_lost_one() -> None:
    events = [
        event(0, "PENDING"),
        event(1, "RUNNING", **CLAIM),
        event(2, phase="CLONE"),
        event(5, phase="BUILD"),
        event(60, "RUNNING", detail={"attempt": 2}),
        event(61, phase="CLONE"),
    ]

    steps = steps_of(job("RUNNING", **GIT), events)

    assert brief(steps)[2:] == [
        ("BUILD", "ended", 55),
        ("CLONE", "now", 39),
        *((phase, "next", None) for phase in ("BUILD", "PUSH", "DEPLOY", "VERIFY")),
    ]
    assert [step.attempt for step in steps[:4]] == [0, 1, 1, 2]


def test_being_asked_to_make_room_is_a_note_and_no_phase() -> None:
    events = [
        event(0, "PENDING"),
        event(1, "RUNNING", **CLAIM),
        event(2, phase="BUILD"),
        event(9, phase="BUILD", reason="asked to end", detail={"supersededBy": "j2"}),
    ]

    steps = steps_of(job("RUNNING", **GIT), events)

    assert [(s.phase, s.note) for s in steps if s.state == "now"] == [("BUILD", "asked to end")]


def test_a_phase_that_is_not_known_is_a_step_all_the_same() -> None:
    events = [event(0, "PENDING"), event(1, "RUNNING", **CLAIM), event(2, phase="MAGIC")]

    assert ("MAGIC", "now", 98) in brief(steps_of(job("RUNNING", image="x"), events))


#: What Deploy wrote of a job whose image does not start: each phase as the runner told it, the last one
#: its report, and the end with the phase that the job was in then.
RUNNER = {"actor": "runner:builder-1"}
UNTIL_DEPLOY = [
    event(0, "PENDING", actor="api"),
    event(3, "RUNNING", **RUNNER, **CLAIM),
    event(4, phase="VALIDATE", **RUNNER),
    event(5, phase="DEPLOY", **RUNNER),
]


def test_a_failed_job_failed_in_the_step_before_its_report() -> None:
    events = [
        *UNTIL_DEPLOY,
        event(35, phase="REPORT", **RUNNER),
        event(37, "FAILED", "REPORT", **RUNNER),
    ]

    assert brief(steps_of(job("FAILED", image="x"), events)) == [
        ("QUEUED", "done", 3),
        ("VALIDATE", "done", 1),
        ("DEPLOY", "failed", 30),
    ]


def test_a_job_cancelled_while_it_is_reported_ended_in_the_step_before() -> None:
    events = [
        *UNTIL_DEPLOY,
        event(35, phase="REPORT", **RUNNER),
        event(36, "CANCELLED", "REPORT", actor="api"),
    ]

    assert brief(steps_of(job("CANCELLED", image="x"), events))[2:] == [("DEPLOY", "ended", 30)]


def test_a_job_that_told_of_nothing_but_its_report_failed_in_its_start() -> None:
    events = [
        event(0, "PENDING", actor="api"),
        event(3, "RUNNING", **RUNNER, **CLAIM),
        event(5, phase="REPORT", **RUNNER),
        event(6, "FAILED", "REPORT", **RUNNER),
    ]

    assert brief(steps_of(job("FAILED"), events)) == [("QUEUED", "done", 3), ("START", "failed", 2)]


def test_the_report_of_a_success_is_no_step() -> None:
    events = [
        *UNTIL_DEPLOY,
        event(15, phase="VERIFY", **RUNNER),
        event(16, phase="REPORT", **RUNNER),
        event(17, "SUCCEEDED", "REPORT", **RUNNER),
    ]

    assert brief(steps_of(job("SUCCEEDED", image="x"), events))[2:] == [
        ("DEPLOY", "done", 10),
        ("VERIFY", "done", 1),
    ]


def test_the_report_is_the_step_in_hand_until_it_is_taken() -> None:
    events = [
        *UNTIL_DEPLOY,
        event(15, phase="VERIFY", **RUNNER),
        event(16, phase="REPORT", **RUNNER),
    ]

    assert brief(steps_of(job("RUNNING", image="x"), events))[3:] == [
        ("VERIFY", "done", 1),
        ("REPORT", "now", 84),
    ]


def test_a_runner_lost_in_its_report_was_lost_there() -> None:
    lost = [*UNTIL_DEPLOY, event(35, phase="REPORT", **RUNNER)]
    again = event(95, "RUNNING", **RUNNER, detail={"attempt": 2})
    given_up = event(95, "FAILED", "REPORT", actor="deploy")

    claimed = steps_of(job("RUNNING", image="x"), [*lost, again])
    reaped = steps_of(job("FAILED", image="x"), [*lost, given_up])

    assert brief(claimed)[2:4] == [("DEPLOY", "done", 30), ("REPORT", "ended", 60)]
    assert brief(reaped)[2:] == [("DEPLOY", "done", 30), ("REPORT", "failed", 60)]
