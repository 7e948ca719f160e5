"""Requests and rows that are unlike all others, and must not stop the others."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy.webhook_receiver import Receiver, declared
from tests.integration.deploy_process import ADMIN, API

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.deploy_process import DeployProcess

#: One wait for a row, and some; a runner's call has an end, too.
LOCK_SECONDS = 5
CLAIM_SECONDS = 12


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def create_with(deploy: DeployProcess, x: str, app_id: str = "20002") -> requests.Response:
    """Create a job with a member ``x`` in its payload, as it is written."""
    payload = f'{{"appId": "{app_id}", "userId": 1, "image": "registry.test/demo:1", "x": {x}}}'
    body = f'{{"type": "BUILD_AND_DEPLOY", "payload": {payload}}}'
    return requests.post(f"{deploy.url}/deploy/jobs", data=body, headers=API, timeout=20)


def test_app_whose_row_is_locked_does_not_hold_up_the_jobs_of_others(
    deploy: DeployProcess,
) -> None:
    deploy.beat()
    deploy.create("locked")
    deploy.create("free")

    with closing(deploy.schema.server.connect(deploy.schema.name)) as held:
        held.begin()
        held.cursor().execute("SELECT 1 FROM fun_ai_deploy_app WHERE app_id = 'locked' FOR UPDATE")
        began = time.monotonic()
        job = deploy.claimed(waitSeconds=0)
        seconds = time.monotonic() - began
        again = deploy.claim()[1]["data"]
        seconds_again = time.monotonic() - began - seconds

    assert job["appId"] == "free"
    assert seconds < CLAIM_SECONDS
    # It is passed over for a while: the next claim does not wait for the row again.
    assert again is None
    assert seconds_again < LOCK_SECONDS


@pytest.mark.parametrize("depth", [1, 60, 61, 62, 63, 64, 400, 900, *range(960, 985, 2), 100_000])
def test_job_that_was_taken_can_be_claimed_however_its_payload_is_nested(
    deploy: DeployProcess, depth: int
) -> None:
    deploy.beat()
    created = create_with(deploy, nested(depth))
    deploy.create("other")

    if created.status_code == requests.codes.ok:
        assert deploy.claimed()["appId"] == "20002"
    else:
        assert created.status_code == requests.codes.bad_request
        assert "inside each other" in created.json()["message"]
    assert deploy.claimed()["appId"] == "other"


def test_number_that_no_other_program_could_read_is_refused(deploy: DeployProcess) -> None:
    answer = create_with(deploy, "1e999")

    assert answer.status_code == requests.codes.bad_request
    assert "1e999" in answer.json()["message"]


@pytest.mark.parametrize("error", ["ä" * 20_000, "x" * 100_000], ids=["umlauts", "letters"])
def test_long_error_ends_its_job_where_a_webhook_hears_of_it(
    start_deploy: Callable[..., DeployProcess], tmp_path: Path, error: str
) -> None:
    with Receiver() as receiver:
        deploy = start_deploy(**declared(tmp_path, ops=receiver))
        deploy.beat()
        deploy.create()
        status, _ = deploy.report(deploy.claimed(), "FAILED", errorMessage=error)
        (call,) = receiver.wait_for(1)

    assert status == requests.codes.ok
    told = call.told["data"]
    assert told["status"] == "FAILED"
    assert told["errorMessage"].endswith(error[:1000])


def test_made_up_methods_add_no_series(deploy: DeployProcess) -> None:
    for number in range(30):
        method = "MADEUP" + chr(65 + number % 26) * (1 + number // 26)
        requests.request(method, f"{deploy.url}/deploy/jobs", headers=API, timeout=20)

    figures = requests.get(f"{deploy.url}/metrics", headers=ADMIN, timeout=20).text

    assert 'method="other"' in figures
    assert "MADEUP" not in figures


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (
            "/deploy/jobs/{job}/logs/stream",
            {**API, "Last-Event-ID": "9" * 5000},
            requests.codes.ok,
        ),
        (
            "/admin/runtime-nodes/placements?nodeId=1&offset=" + "9" * 23,
            ADMIN,
            requests.codes.bad_request,
        ),
    ],
    ids=["event id", "offset"],
)
def test_numbers_beyond_all_bounds_are_no_failure_of_deploy(
    deploy: DeployProcess, path: str, headers: dict[str, str], expected: int
) -> None:
    job: dict[str, Any] = deploy.create()[1]["data"]
    deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)

    answer = requests.get(
        deploy.url + path.format(job=job["id"]), headers=headers, timeout=20, stream=True
    )
    status = answer.status_code
    answer.close()

    assert status == expected, json.dumps(dict(answer.headers))
