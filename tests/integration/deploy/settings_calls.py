"""Calls about one app's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.deploy_process import API, RUNNER

if TYPE_CHECKING:
    from tests.integration.deploy_process import DeployProcess

APP = "shop"
PATH = f"/deploy/apps/{APP}/settings"


def read(deploy: DeployProcess, app_id: str = APP) -> dict[str, Any]:
    status, envelope = deploy.call("GET", f"/deploy/apps/{app_id}/settings", None, API)
    assert status == 200, envelope
    found: dict[str, Any] = envelope["data"]
    return found


def put(deploy: DeployProcess, **body: Any) -> dict[str, Any]:
    status, envelope = deploy.call("PUT", PATH, body, API)
    assert (status, envelope["code"]) == (200, 200), envelope
    found: dict[str, Any] = envelope["data"]
    return found


def refused(deploy: DeployProcess, **body: Any) -> tuple[int, str]:
    status, envelope = deploy.call("PUT", PATH, body, API)
    assert status == envelope["code"]
    return status, envelope["message"]


def ask(
    deploy: DeployProcess, job_id: str, runner: str = "runner-1", **query: Any
) -> tuple[int, dict[str, Any]]:
    return deploy.call(
        "GET",
        f"/deploy/jobs/{job_id}/app-settings",
        None,
        RUNNER,
        params={"runnerId": runner, **query},
    )


def variable(name: str, value: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, **({} if value is None else {"value": value}), **more}
