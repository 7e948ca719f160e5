"""Every endpoint demands the proof that the matrix names, and takes no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.deploy_process import (
    ADMIN,
    API,
    GATEWAY,
    NODE,
    RUNNER,
    DeployProcess,
    process_env,
    run_command,
)

if TYPE_CHECKING:
    from tests.integration.deploy_process import Schema

OPEN = {"/internal/health", "/internal/ready", "/metrics"}
PROOFS = {**API, **ADMIN, **NODE, **RUNNER, **GATEWAY}


def expected_proof(path: str) -> dict[str, str]:
    """Return the header that lets a caller in at a path; contract, section 1."""
    if path.endswith(("/claim", "/heartbeat", "/report", "/app-settings")) and path.startswith(
        "/deploy/"
    ):
        return RUNNER
    if path.startswith("/deploy/"):
        return API
    if path.startswith("/admin/"):
        return ADMIN
    return NODE if path.endswith("/heartbeat") else GATEWAY


def documented(schema: Schema) -> list[tuple[str, str]]:
    """Return (method, path) of everything in Deploy's OpenAPI document."""
    done = run_command(process_env(schema), "openapi")
    assert done.returncode == 0, done.stderr
    paths = json.loads(done.stdout)["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_every_documented_endpoint_demands_its_own_proof(deploy: DeployProcess) -> None:
    closed = [entry for entry in documented(deploy.schema) if entry[1] not in OPEN]
    assert len(closed) >= 20

    for method, template in closed:
        path = template.replace("{job_id}", "x").replace("{id}", "x").replace("{jobId}", "x")
        proof = expected_proof(template)
        others = {name: value for name, value in PROOFS.items() if name not in proof}
        wrong = dict.fromkeys(proof, "wrong-but-long-enough")
        for headers in ({}, wrong, others):
            status, envelope = deploy.call(method, path, {}, headers)
            assert (status, envelope["code"]) == (401, 401), (method, path, headers)
            assert next(iter(proof)) in envelope["message"], (method, path)


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_pages_are_open(deploy: DeployProcess, path: str) -> None:
    if path == "/metrics":
        assert "funai" in requests.get(deploy.url + path, timeout=10).text
    else:
        status, envelope = deploy.call("GET", path)
        assert (status, envelope["code"]) == (200, 200)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("DEPLOY_SECRET", "", id="unset"),
        pytest.param("DEPLOY_ADMIN_TOKEN", "CHANGE_ME_please_now", id="placeholder"),
        pytest.param("DEPLOY_RUNTIME_TOKEN", "short", id="short"),
    ],
)
def test_deploy_refuses_to_start_without_real_secrets(
    database: Schema, name: str, value: str
) -> None:
    done = run_command(process_env(database, **{name: value}), "serve")

    assert done.returncode == 2
    assert name in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
