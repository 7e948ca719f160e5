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
