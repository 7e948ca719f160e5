"""An image that was pushed is known however its job ends, so that a prune can remove it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.revision_calls import APP, TARGET, built, finish, revisions, states
from tests.integration.deploy.webhook_receiver import wait_until
from tests.integration.deploy_process import API, RUNNER, process_env, run_command
from tests.integration.registry_server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.deploy_process import DeployProcess


def begin(deploy: DeployProcess) -> dict[str, Any]:
    """Create a job from a repository and claim it."""
    deploy.beat()
    source = {"image": None, "repoUrl": "https://git.test/team/shop.git", "commit": "main"}
    assert deploy.create(APP, **source)[1]["code"] == 200
    return deploy.claimed()


def beat(deploy: DeployProcess, job: dict[str, Any], **extra: Any) -> int:
    body = {"runnerId": job["runnerId"], "fence": job["fence"], **extra}
    code: int = deploy.call("POST", f"/deploy/jobs/{job['id']}/heartbeat", body, RUNNER)[1]["code"]
    return code


def cancel(deploy: DeployProcess, job: dict[str, Any]) -> None:
    assert deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)[1]["code"] == 200


def supersede(deploy: DeployProcess) -> None:
    payload = {"appId": APP, "image": "a/b:1"}
    body = {"type": "BUILD_AND_DEPLOY", "payload": payload, "onConflict": "supersede"}
    assert deploy.call("POST", "/deploy/jobs", body, API)[1]["code"] == 200


def run_out(deploy: DeployProcess, job: dict[str, Any]) -> None:
    deploy.schema.execute(
        f"UPDATE fun_ai_deploy_job SET lease_expire_at = 1 WHERE id = '{job['id']}'"
    )


def test_cancelled_job_leaves_what_its_heartbeat_named(deploy: DeployProcess) -> None:
    job = begin(deploy)
    assert beat(deploy, job, phase="DEPLOY", result=built(1)) == 200
    during = states(deploy)

    cancel(deploy, job)

    assert during == {}
    assert states(deploy) == {1: "FAILED"}
    found = revisions(deploy)[0]
    assert (found["digest"], found["imageTag"]) == (built(1)["imageDigest"], built(1)["imageTag"])


def test_image_that_is_named_after_the_cancelling_is_kept_too(deploy: DeployProcess) -> None:
    job = begin(deploy)
    cancel(deploy, job)

    codes = [beat(deploy, job, result=built(1)) for _ in range(2)]

    assert codes == [409, 409]
    assert states(deploy) == {1: "FAILED"}


def test_superseded_job_leaves_what_the_heartbeat_named_that_ended_it(
    deploy: DeployProcess,
) -> None:
    job = begin(deploy)
    beat(deploy, job, phase="PUSH")
    supersede(deploy)

    assert beat(deploy, job, phase="DEPLOY", result=built(1)) == 409

    assert states(deploy) == {1: "FAILED"}


@pytest.mark.parametrize("code", [200, 409], ids=["in time", "after the lease"])
def test_job_whose_runner_died_leaves_what_its_heartbeat_named(
    deploy: DeployProcess, code: int
) -> None:
    job = begin(deploy)
    if code != 200:
        run_out(deploy, job)
    assert beat(deploy, job, phase="DEPLOY", result=built(1)) == code
    before = states(deploy)

    deploy.schema.execute(
        "UPDATE fun_ai_deploy_job SET started_at = started_at - INTERVAL 2 DAY, lease_expire_at = 1"
    )

    wait_until(lambda: states(deploy) == {1: "FAILED"})
    assert before == {}


def test_success_makes_the_named_image_the_revision_that_runs(deploy: DeployProcess) -> None:
    job = begin(deploy)
    beat(deploy, job, phase="DEPLOY", result=built(1))

    deploy.report(job, "SUCCEEDED", result=built(1))
    late = beat(deploy, job, result=built(1))

    assert late == 409
    assert states(deploy) == {1: "ACTIVE"}


def test_report_without_an_image_does_not_lose_the_one_of_an_attempt_before(
    deploy: DeployProcess,
) -> None:
    job = begin(deploy)
    beat(deploy, job, phase="DEPLOY", result=built(1))
    run_out(deploy, job)

    finish(deploy, "FAILED", {"built": False})

    assert states(deploy) == {1: "FAILED"}


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"runnerId": "runner-9"}, id="another runner"),
        pytest.param({"fence": 99}, id="another fence"),
        pytest.param({"result": {**built(1), "built": False}}, id="not built"),
        pytest.param({"result": {**built(1), "imageDigest": "sha256:x"}}, id="no digest"),
        pytest.param({"result": ["nonsense"]}, id="nonsense"),
    ],
)
def test_other_words_after_the_end_are_not_kept(
    deploy: DeployProcess, changed: dict[str, Any]
) -> None:
    job = begin(deploy)
    cancel(deploy, job)

    assert beat(deploy, job, **{"result": built(1), **changed}) == 409

    assert states(deploy) == {}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    server = RegistryServer(tmp_path).start()
    yield server
    server.stop()


@pytest.mark.parametrize("end", ["cancel", "purge"])
def test_prune_removes_the_image_of_a_job_that_ended_otherwise(
    deploy: DeployProcess, registry: RegistryServer, tmp_path: Path, end: str
) -> None:
    path, result = "funai/u1-appshop", built(1)
    digest = registry.push(path, result["imageTag"], "never ran")
    named = {"imageRepository": f"{registry.host}/{path}", "imageDigest": digest}
    job = begin(deploy)
    beat(deploy, job, phase="DEPLOY", result={**result, **named})
    if end == "purge":
        deploy.call("POST", "/deploy/apps/purge", TARGET, API)
    else:
        cancel(deploy, job)
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_revision SET create_time = create_time - INTERVAL 2 HOUR"
    )
    accounts = tmp_path / "registries.json"
    entry = {"username": "push", "password": "not-asked-for-here", "scheme": "http"}
    accounts.write_text(json.dumps({registry.host: entry}))

    env = process_env(deploy.schema, DEPLOY_REGISTRIES_FILE=str(accounts))
    done = run_command(env, "prune", "--json")

    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["action"] for line in done.stdout.splitlines()] == ["remove"]
    assert not registry.has(path, digest)
