"""Calls about one app's revisions, and what a runner would report of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from tests.integration.deploy_process import DeployProcess

APP = "shop"
REPOSITORY = "registry.test/apps/u1-appshop"
TARGET = {"userId": 1, "appId": APP}


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def commit(number: int) -> str:
    return f"{number:040x}"


def built(number: int, **extra: Any) -> dict[str, Any]:
    """Return what a runner reports of an image that it built."""
    return {
        "image": f"{REPOSITORY}:{commit(number)[:12]}",
        "imageDigest": digest(number),
        "imageRepository": REPOSITORY,
        "imageTag": commit(number)[:12],
        "commit": commit(number),
        "commitRef": "main",
        "repoUrl": "https://git.test/team/shop.git",
        "sourceKind": "git",
        "built": True,
        "release": f"r{number}-{commit(number)[:12]}",
        **extra,
    }


def run_job(
    deploy: DeployProcess, status: str = "SUCCEEDED", result: Any = None, **payload: Any
) -> dict[str, Any]:
    """Create a job from a repository, claim it and report its end."""
    deploy.beat()
    wanted = {"image": None, "repoUrl": "https://git.test/team/shop.git", "commit": "main"}
    created = deploy.create(APP, **{**wanted, **payload})[1]
    assert created["code"] == 200, created
    return finish(deploy, status, result)


def finish(deploy: DeployProcess, status: str = "SUCCEEDED", result: Any = None) -> dict[str, Any]:
    job = deploy.claimed()
    reported = deploy.report(job, status, result=result)[1]
    assert reported["code"] == 200, reported
    return job


def deploy_built(deploy: DeployProcess, number: int, **payload: Any) -> dict[str, Any]:
    return run_job(deploy, result=built(number), **payload)


def revisions(deploy: DeployProcess, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deploy.call(
        "GET", f"/deploy/apps/{APP}/revisions{query}", None, API
    )[1]["data"]
    return found


def states(deploy: DeployProcess) -> dict[int, str]:
    return {found["number"]: found["state"] for found in revisions(deploy)}


def app(deploy: DeployProcess) -> dict[str, Any]:
    found: dict[str, Any] = deploy.call("GET", f"/deploy/apps/{APP}", None, API)[1]["data"]
    return found


def roll_back(
    deploy: DeployProcess, key: str | None = None, **body: Any
) -> tuple[int, dict[str, Any]]:
    headers = {**API, "Idempotency-Key": key} if key else API
    return deploy.call("POST", f"/deploy/apps/{APP}/rollback", body, headers)


def set_state(deploy: DeployProcess, number: int, state: str) -> None:
    deploy.schema.execute(
        f"UPDATE fun_ai_deploy_revision SET state = '{state}', prune_reason = 'older than 3'"
        f" WHERE number = {number}"
    )
