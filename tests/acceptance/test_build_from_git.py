"""From a git commit to a running revision, and back to the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.sample_build import APP_ID, TIMEOUT

if TYPE_CHECKING:
    import requests
    from ansible.module_utils.deploy_client import DeployClient

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform
    from tests.acceptance.sample_build import Builder, Built

MANIFEST = (
    "application/vnd.oci.image.manifest.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)
PHASES = {"VALIDATE", "CLONE", "BUILD", "PUSH", "DEPLOY", "VERIFY", "REPORT"}


@pytest.mark.point("Build from git goes through to the edge")
def test_commit_becomes_an_answer_at_the_edge(
    builder: Builder, built: Built, record_evidence: RecordEvidence
) -> None:
    release = builder.app_release()

    record_evidence(f"job {built.job['id']}: {built.job['status']}, the edge answers as {release}")
    assert release == built.revision["release"]


@pytest.mark.point("Build from git goes through to the edge")
def test_log_of_the_job_shows_every_phase(built: Built, record_evidence: RecordEvidence) -> None:
    phases = {line["phase"] for line in built.log}
    numbers = [line["n"] for line in built.log]

    record_evidence(f"{len(built.log)} lines, phases {', '.join(sorted(phases))}")
    assert phases >= PHASES
    assert numbers == list(range(len(numbers)))


@pytest.mark.point("Tag and labels lead back to the commit")
def test_tag_and_labels_name_commit_job_and_builder(
    platform: Platform,
    built: Built,
    http: requests.Session,
    trusted_ca: str,
    record_evidence: RecordEvidence,
) -> None:
    revision = built.revision
    host, _, path = revision["imageRepository"].partition("/")

    def fetch(kind: str, reference: str) -> Any:
        answer = http.get(
            f"https://{host}/v2/{path}/{kind}/{reference}",
            auth=("pull", platform.credential("registry_pull_password")),
            headers={"Accept": MANIFEST},
            timeout=TIMEOUT,
            verify=trusted_ca,
        )
        assert answer.status_code == 200, f"{kind}/{reference}: {answer.status_code}"
        return answer

    manifest = fetch("manifests", revision["imageTag"])
    labels = fetch("blobs", manifest.json()["config"]["digest"]).json()["config"]["Labels"]

    record_evidence(f"{path}:{revision['imageTag']} is {revision['digest']}, labels {labels}")
    assert revision["imageTag"] == revision["commit"][:12]
    assert manifest.headers["Docker-Content-Digest"] == revision["digest"]
    assert labels["io.funai.commit"] == revision["commit"]
    assert labels["io.funai.job"] == built.job["id"]
    assert labels["io.funai.builder"] == built.job["runnerId"]
    assert labels["io.funai.created"]


@pytest.mark.point("Tag and labels lead back to the commit")
def test_deploy_says_which_commit_digest_and_job_run(
    deploy_client: DeployClient, built: Built, record_evidence: RecordEvidence
) -> None:
    app = deploy_client.app(APP_ID)

    assert app is not None
    record_evidence(app["reason"])
    running = app["revision"]
    assert running["commit"] == built.revision["commit"]
    assert running["digest"] == built.revision["digest"]
    assert running["jobId"] == built.job["id"]


@pytest.mark.point("A commit is not built twice")
def test_same_commit_again_is_not_built_again(
    builder: Builder, built: Built, record_evidence: RecordEvidence
) -> None:
    again = builder.build()

    building = [line["text"] for line in again.log if line["phase"] == "BUILD"]
    record_evidence(f"job {again.job['id']}: {building[-1]}")
    assert again.revision["digest"] == built.revision["digest"]
    assert not any("STEP" in text for text in building)


@pytest.mark.point("Rollback works")
def test_rollback_brings_the_earlier_revision_back(
    platform: Platform, builder: Builder, built: Built, record_evidence: RecordEvidence
) -> None:
    other = builder.deploy(platform.settings["acceptance_image"])
    between = builder.app_release()

    job = builder.roll_back(built.revision["number"])

    record_evidence(f"{between} ran, job {job['id']} {job['status']}, now {builder.app_release()}")
    assert between == other.revision["release"]
    assert job["status"] == "SUCCEEDED"
    assert builder.app_release() == built.revision["release"]
