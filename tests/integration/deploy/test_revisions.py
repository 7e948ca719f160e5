"""Revisions over HTTP: what a job's end makes of them, and how an app says what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from funai.deploy.config import DatabaseSettings
from funai.deploy.database import Database, make_engine
from funai.deploy.revisions import repository
from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.revision_calls import (
    APP,
    REPOSITORY,
    TARGET,
    app,
    built,
    commit,
    deploy_built,
    digest,
    finish,
    revisions,
    roll_back,
    run_job,
    states,
)
from tests.integration.deploy_process import ADMIN, API, DeployProcess, process_env, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy_process import Schema


def test_success_makes_the_revision_that_runs(deploy: DeployProcess) -> None:
    job = deploy_built(
        deploy, 1, containerPort=8080, healthPath="/health", buildArgs={"A": "secret"}
    )

    found = revisions(deploy)

    assert job["revision"] == 1
    assert [(item["number"], item["state"], item["jobId"]) for item in found] == [
        (1, "ACTIVE", job["id"])
    ]
    item = found[0]
    assert item["config"] == {
        "appId": APP, "userId": 1, "containerPort": 8080, "healthPath": "/health",
    }  # fmt: skip
    assert (item["commit"], item["commitRef"], item["digest"]) == (commit(1), "main", digest(1))
    assert (item["repoUrl"], item["sourceKind"]) == ("https://git.test/team/shop.git", "git")
    assert (item["imageRepository"], item["built"]) == (REPOSITORY, True)
    assert (item["release"], item["createdBy"]) == (f"r1-{commit(1)[:12]}", "1")
    assert item["activatedAt"] is not None


def test_next_success_supersedes_and_failure_changes_nothing(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)
    deploy_built(deploy, 2)
    run_job(deploy, "FAILED", {"built": False})

    assert states(deploy) == {1: "SUPERSEDED", 2: "ACTIVE"}
    assert app(deploy)["state"] == "RUNNING"


def test_failure_after_the_push_leaves_a_row_for_prune(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)
    run_job(deploy, "FAILED", built(2))

    assert states(deploy) == {1: "ACTIVE", 2: "FAILED"}
    assert app(deploy)["revision"]["number"] == 1


def test_app_says_what_runs_and_why(start_deploy: Callable[..., DeployProcess]) -> None:
    deploy = start_deploy(DEPLOY_PUBLIC_BASE_URL="https://apps.test")
    job = deploy_built(deploy, 1)
    running = app(deploy)
    failed = run_job(deploy, "FAILED", None)
    after = app(deploy)
    deploy.create(APP)
    during = app(deploy)

    assert (running["state"], running["node"]) == ("RUNNING", "node-1")
    assert running["revision"]["jobId"] == job["id"]
    assert running["publicUrl"] == "https://apps.test/apps/shop/"
    assert running["deployUrl"] == "http://127.0.0.1:80/apps/shop/"
    assert commit(1)[:12] in running["reason"]
    assert job["id"] in running["reason"]
    assert after["state"] == "RUNNING"
    assert failed["id"] in after["reason"]
    assert (during["state"], during["revision"]["number"]) == ("DEPLOYING", 1)
    assert during["lastJobId"] == failed["id"]


def test_stopped_app_stays_stopped_until_something_is_activated(deploy: DeployProcess) -> None:
    agent = AgentStub()
    try:
        deploy_built(deploy, 1)
        # Where a node's agent is, only an operator changes.
        moved = {
            "name": "node-1",
            "agentBaseUrl": agent.url,
            "gatewayBaseUrl": "http://127.0.0.1:80",
        }
        assert deploy.call("POST", "/admin/runtime-nodes/upsert", moved, ADMIN)[1]["code"] == 200
        assert deploy.call("POST", "/deploy/apps/stop", TARGET, API)[1]["code"] == 200
    finally:
        agent.close()
    stopped = app(deploy)
    run_job(deploy, "FAILED", None)
    failed = app(deploy)
    deploy_built(deploy, 3)

    assert (stopped["state"], failed["state"]) == ("STOPPED", "STOPPED")
    assert app(deploy)["state"] == "RUNNING"


def nest(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


ABSURD: list[Any] = [
    "text",
    [1],
    7,
    {"image": ["x"], "imageDigest": {"a": 1}, "built": "perhaps", "commit": 5, "release": None},
    {"image": "x" * 100_000, "imageRepository": "-x", "repoUrl": "https://u:p@git.test/x"},
    {"commit": "zz\x00\ud800", "commitRef": "\u0000", "imageTag": "\n", "sourceKind": [[]]},
    {"release": "a b", "imageDigest": "sha256:short", "built": True, "phases": [{}] * 9000},
    {"image": nest(500), "commit": nest(500), "sourceKind": nest(500)},
]


@pytest.mark.parametrize("result", ABSURD, ids=range(len(ABSURD)))
@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
def test_absurd_result_still_ends_the_job(deploy: DeployProcess, status: str, result: Any) -> None:
    job = run_job(deploy, status, result)

    found = deploy.call("GET", f"/deploy/jobs/{job['id']}", None, API)[1]["data"]
    assert found["status"] == status
    assert states(deploy) == ({1: "ACTIVE"} if status == "SUCCEEDED" else {})
    for item in revisions(deploy):
        assert item["release"] == "r1"
        assert (item["commit"], item["digest"]) == (None, None)


def test_purge_hides_revisions_and_keeps_those_with_an_image(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)
    run_job(deploy, image="registry.test/other/app:1", repoUrl=None)
    deploy.call("POST", "/deploy/apps/purge", TARGET, API)
    purged = revisions(deploy)
    refused = roll_back(deploy)
    deploy_built(deploy, 3)

    assert purged == []
    assert refused[0] == 404
    assert states(deploy) == {3: "ACTIVE"}
    assert roll_back(deploy)[0] == 409
    rows = deploy.schema.rows(
        "SELECT number, state, purged FROM fun_ai_deploy_revision ORDER BY number"
    )
    assert [tuple(row.values()) for row in rows] == [(1, "SUPERSEDED", 1), (3, "ACTIVE", 0)]


def test_revisions_outlive_their_forgotten_jobs(deploy: DeployProcess) -> None:
    for number in (1, 2):
        deploy_built(deploy, number)
    deploy.schema.execute("DELETE FROM fun_ai_deploy_job")

    created = roll_back(deploy)[1]["data"]
    finish(deploy)

    assert created["payload"]["image"] == f"{REPOSITORY}@{digest(1)}"
    assert states(deploy) == {1: "ACTIVE", 2: "SUPERSEDED"}


def test_rows_without_an_image_of_ours_are_bounded(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)
    rows = ",".join(
        f"('{APP}', {number}, 'SUPERSEDED', 'old', 'r{number}', {number % 2}, UTC_TIMESTAMP(6))"
        for number in range(-599, 1)
    )
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_revision"
        f" (app_id, number, state, job_id, app_release, built, create_time) VALUES {rows}"
    )

    for number in (2, 3, 4):
        deploy_built(deploy, number)

    left = deploy.schema.rows("SELECT number, built FROM fun_ai_deploy_revision")
    assert sum(row["built"] == 0 for row in left) == 248
    assert sum(row["built"] == 1 for row in left) == 304
    assert len(revisions(deploy, "?limit=200")) == 200
    assert len(revisions(deploy, "?limit=2")) == 2


def test_kept_is_what_a_rollback_may_need(deploy: DeployProcess) -> None:
    for number in (1, 2, 3, 4, 5):
        deploy_built(deploy, number)
    database = Database(make_engine(DatabaseSettings.from_env(deploy.schema.env()), pool_size=1))

    def kept(count: int) -> list[int]:
        return [found.number for found in database.run(lambda c: repository.kept(c, APP, count))]

    try:
        idle = [kept(3), kept(1), kept(0)]
        roll_back(deploy, revision=1)
        wanted = kept(3)
        finish(deploy)
        after = kept(3)
    finally:
        database.close()

    assert idle == [[5, 4, 3], [5], [5]]
    assert wanted == [5, 4, 3, 1]
    assert after == [1, 5, 4]


def test_apps_of_before_get_their_first_revision_with_the_next_deploy(
    deploy: DeployProcess,
) -> None:
    schema = deploy.schema
    deploy_built(deploy, 1)
    back_to_0001(schema)
    done = run_command(process_env(schema), "migrate")
    assert done.returncode == 0, done.stderr

    before, refused = app(deploy), roll_back(deploy)
    deploy_built(deploy, 2)

    assert (before["state"], before["revision"]) == ("RUNNING", None)
    assert "before revisions were kept" in before["reason"]
    assert refused[0] == 409
    assert states(deploy) == {2: "ACTIVE"}


def back_to_0001(schema: Schema) -> None:
    """Take the schema back to before there were revisions, its rows kept."""
    schema.execute(
        "DROP TABLE fun_ai_deploy_revision",
        "DROP TABLE IF EXISTS fun_ai_deploy_job_log",
        "DROP TABLE IF EXISTS fun_ai_deploy_job_log_chunk",
        "UPDATE fun_ai_deploy_alembic_version SET version_num = '0001'",
    )
