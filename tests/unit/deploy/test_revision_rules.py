"""What a report makes of a revision, when one can be deployed again, and how an app stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from funai.contract.source import SourceKind
from funai.contract.status import JobStatus
from funai.deploy.apps.model import AppRun
from funai.deploy.apps.standing import AppState, Standing
from funai.deploy.errors import ConflictError
from funai.deploy.jobs.model import Job
from funai.deploy.revisions.model import (
    MAX_ACTIVATION,
    Origin,
    Revision,
    RevisionState,
    activation_text,
    check_deployable,
    config_of,
    release_or_made,
)

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "a" * 64
AT = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - as the database has it
ORIGIN = Origin(
    source_kind=SourceKind.GIT,
    commit_ref="main",
    commit_sha=SHA,
    image="r.test/a:1",
    image_repository="r.test/a",
    image_digest=DIGEST,
    built=True,
)
REVISION = Revision(
    app_id="shop",
    number=3,
    state=RevisionState.SUPERSEDED,
    job_id="job-3",
    release="r3",
    origin=ORIGIN,
    config={"appId": "shop", "containerPort": 8080},
    activated_at=AT,
    activation="deployed by job job-3",
)
RUN = AppRun("shop", 1, "job-4", "SUCCEEDED", None, 1, 1)


def test_report_is_preferred_to_the_payload() -> None:
    payload = {"image": "r.test/a:1", "commit": "ignored", "repoUrl": "https://git.test/a"}
    told = Origin.read({"imageDigest": DIGEST, "reused": True}, payload)

    assert (told.source_kind, told.image) == (SourceKind.IMAGE, "r.test/a:1")
    assert (told.image_repository, told.image_digest, told.built) == ("r.test/a", DIGEST, True)
    assert (told.repo_url, told.commit_ref) == (None, None)


def test_payload_fills_in_what_an_earlier_runner_does_not_report() -> None:
    payload = {"repoSshUrl": "git@git.test:a", "gitRef": "main"}
    told = Origin.read({}, payload)

    assert (told.source_kind, told.repo_url, told.commit_ref) == (
        SourceKind.GIT, "git@git.test:a", "main",
    )  # fmt: skip
    assert (told.image, told.image_digest, told.built) == (None, None, False)
    assert Origin.read({}, {"archiveUrl": "https://x.test/a"}).source_kind is SourceKind.ARCHIVE


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("app", "app"), ("app:1", "app"), ("r.test:5000/a/b", "r.test:5000/a/b"),
        ("r.test:5000/a/b:1", "r.test:5000/a/b"), (f"r.test/a:1@{DIGEST}", "r.test/a"),
    ],
)  # fmt: skip
def test_repository_is_the_image_without_its_tag(image: str, repository: str) -> None:
    told = Origin.read({}, {"image": image})

    assert told.image_repository == repository
    assert told.image_digest == (DIGEST if "@" in image else None)


def test_rollback_deploys_by_digest() -> None:
    assert REVISION.deployable_image == f"r.test/a@{DIGEST}"
    assert REVISION.rollback_payload("slow") == {
        "appId": "shop",
        "containerPort": 8080,
        "image": f"r.test/a@{DIGEST}",
        "rollbackTo": 3,
        "commit": SHA,
        "rollbackReason": "slow",
    }


def test_only_a_prebuilt_image_may_go_without_a_digest() -> None:
    built = replace(REVISION, origin=replace(ORIGIN, image_digest=None))
    prebuilt = replace(REVISION, origin=Origin(SourceKind.IMAGE, image="r.test/a:1"))

    assert built.deployable_image is None
    assert prebuilt.deployable_image == "r.test/a:1"
    with pytest.raises(ConflictError, match="did not report an image"):
        check_deployable(built)
    check_deployable(prebuilt)


@pytest.mark.parametrize(
    ("state", "word"), [(RevisionState.FAILED, "never ran"), (RevisionState.PRUNED, "pruned")]
)
def test_refusal_names_revision_and_way_out(state: RevisionState, word: str) -> None:
    with pytest.raises(ConflictError) as caught:
        check_deployable(replace(REVISION, state=state))

    for part in (word, "revision 3", "shop", "deploy"):
        assert part in str(caught.value)


def test_config_leaves_out_what_only_a_build_reads() -> None:
    payload: dict[str, Any] = {
        "appId": 1, "userId": 2, "containerPort": "80", "healthPath": "/h", "own": {"a": 1},
        "repoUrl": "u", "buildArgs": {"TOKEN": "x"}, "archiveUrl": "u?sig=1", "image": "i",
        "rollbackTo": 1, "attempt": 2,
    }  # fmt: skip

    assert config_of(payload) == {
        "appId": 1, "userId": 2, "containerPort": "80", "healthPath": "/h", "own": {"a": 1},
    }  # fmt: skip


def test_release_and_activation_are_bounded() -> None:
    assert release_or_made(ORIGIN, 3) == f"r3-{SHA[:12]}"
    assert release_or_made(replace(ORIGIN, release="mine"), 3) == "mine"
    assert len(activation_text("job", 1, 2, "x" * 9999)) == MAX_ACTIVATION


@pytest.mark.parametrize(
    ("back_from", "said"),
    [
        (None, "deployed by job j"),
        (3, "rolled back from revision 3 by job j: why"),
        (1, "deployed again by job j: why"),
    ],
)
def test_activation_says_what_was_left(back_from: int | None, said: str) -> None:
    assert activation_text("j", 1, back_from, "why") == said


def test_job_of_a_rollback_is_of_the_revision_it_goes_to() -> None:
    job = Job("j", "T", "shop", JobStatus.RUNNING, {"rollbackTo": 3}, deploy_seq=9)

    assert (job.revision, replace(job, payload={}).revision) == (3, 9)
    assert replace(job, payload={"rollbackTo": True}).revision == 9
    assert replace(job, payload={"rollbackTo": "3"}).revision == 9


ACTIVE = replace(REVISION, state=RevisionState.ACTIVE)
JOB = Job("job-5", "T", "shop", JobStatus.RUNNING, {}, phase="BUILD")


@pytest.mark.parametrize(
    ("standing", "state", "words"),
    [
        (Standing(RUN, ACTIVE), AppState.RUNNING, ["revision 3", SHA[:12], "of main", "job-3"]),
        (Standing(RUN, ACTIVE, JOB), AppState.DEPLOYING, ["job-5", "BUILD", "revision 3"]),
        (Standing(replace(RUN, last_deployed_at=None), None, JOB), AppState.DEPLOYING, ["nothing"]),
        (Standing(RUN), AppState.RUNNING, ["before revisions were kept"]),
        (Standing(replace(RUN, last_job_status="STOPPED"), ACTIVE), AppState.STOPPED, ["stopped"]),
        (Standing(RUN, replace(ACTIVE, stopped_at=AT)), AppState.STOPPED, ["revision 3"]),
        (Standing(RUN, replace(ACTIVE, stopped_at=AT), JOB), AppState.DEPLOYING, ["stays stopped"]),
        (
            Standing(replace(RUN, last_job_status="FAILED", last_error="no\nmore"), ACTIVE),
            AppState.RUNNING,
            ["revision 3", "job-4 is FAILED: no"],
        ),
        (
            Standing(replace(RUN, last_job_status="CANCELLED", last_deployed_at=None)),
            AppState.NOT_RUNNING,
            ["nothing of the app has run", "job-4 is CANCELLED"],
        ),
    ],
)
def test_app_stands_in_a_word_and_a_sentence(
    standing: Standing, state: AppState, words: list[str]
) -> None:
    assert standing.state is state
    for word in words:
        assert word in standing.reason
    assert "\n" not in standing.reason
