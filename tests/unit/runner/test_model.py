"""Claims and outcomes as data."""

from __future__ import annotations

import io
from typing import Any

import pytest

from funai.runner.errors import JobMalformedError
from funai.runner.journal import Journal, Reachability
from funai.runner.model import (
    ATTEMPTS,
    MAX_ERROR_CHARS,
    ClaimedJob,
    Outcome,
    clean_text,
    error_text,
)

CLAIM: dict[str, Any] = {
    "id": "b2c0a3de-0d51-4a38-9d6c-1e2f3a4b5c6d",
    "fence": 7,
    "attempt": 2,
    "leaseSeconds": 20,
    "maxAttempts": 5,
    "payload": {"appId": 20002},
    "runtimeNode": {"agentBaseUrl": "http://a:7005", "gatewayBaseUrl": "http://a"},
}


def test_claim_is_read() -> None:
    job = ClaimedJob.parse(CLAIM, lease_seconds=30)

    assert (job.job_id, job.app_id, job.fence) == (CLAIM["id"], "20002", 7)
    assert (job.attempt, job.lease_seconds, job.agent_base_url) == (2, 20, "http://a:7005")
    assert job.max_attempts == 5


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"fence": None}, id="no fence"),
        pytest.param({"fence": True}, id="boolean"),
        pytest.param({"fence": 0}, id="zero"),
        pytest.param({"id": "../x"}, id="path in id"),
        pytest.param({"id": "{{ x }}"}, id="template in id"),
        pytest.param({"id": 5}, id="number as id"),
    ],
)
def test_claim_that_cannot_be_run_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(JobMalformedError):
        ClaimedJob.parse({**CLAIM, **change}, lease_seconds=30)


def test_claim_without_payload_and_node_is_left_to_the_validating_step() -> None:
    job = ClaimedJob.parse({"id": "j", "fence": 1, "payload": None}, lease_seconds=30)

    assert (job.app_id, job.agent_base_url, job.lease_seconds) == ("", "", 30)
    assert job.max_attempts == ATTEMPTS


def test_outcome_survives_its_file() -> None:
    outcome = Outcome("j", 3, "FAILED", "X", "why", ({"phase": "DEPLOY"},), {"node": "n"})

    assert Outcome.from_json(outcome.to_json()) == outcome


@pytest.mark.parametrize("data", [None, [], {}, {"jobId": "j", "fence": 1, "status": "RUNNING"}])
def test_incomplete_outcome_is_none(data: object) -> None:
    assert Outcome.from_json(data) is None


def test_error_text_keeps_the_sentence_and_the_evidences_tail() -> None:
    text = error_text("The app exited.", "x" * 5000 + "the end")

    assert len(text) <= MAX_ERROR_CHARS
    assert text.startswith("The app exited.\n…x")
    assert text.endswith("the end")


def test_error_text_bounds_a_long_sentence_too() -> None:
    assert len(error_text("s" * 9999, "e" * 9999)) <= MAX_ERROR_CHARS


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param("a\x1b[31mb\x1b[0m", "ab", id="colour"),
        pytest.param("a\rb\x00\x07", "ab", id="control"),
        pytest.param("a\u202eb", "ab", id="direction override"),
        pytest.param("tab\tline\nä", "tab\tline\nä", id="kept"),
    ],
)
def test_control_characters_are_dropped(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_journal_line_cannot_be_forged_by_a_value() -> None:
    stream = io.StringIO()

    Journal(stream).write("claimed", appId="a\nevent=reported status=SUCCEEDED", fence=3, x=None)

    assert stream.getvalue() == (
        'event=claimed appId="a\\nevent=reported status=SUCCEEDED" fence=3\n'
    )


def test_reachability_is_told_once_per_change() -> None:
    stream = io.StringIO()
    reachability = Reachability(Journal(stream))

    for _ in range(3):
        reachability.lost("refused")
    reachability.found()
    reachability.found()

    assert stream.getvalue().splitlines() == [
        "event=deploy_unreachable why=refused",
        "event=deploy_reachable",
    ]
