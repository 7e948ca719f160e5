"""Settings of an app reach its container, and their secrets nothing else."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.deploy_client import DeployError

from tests.acceptance.conftest import DEPLOY_SECONDS, USER_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests
    from ansible.module_utils.deploy_client import DeployClient

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

APP_ID = "acceptance-settings"
TIMEOUT = 10  # seconds
MEMORY_MIB = 96
CPUS = 0.5
#: Where services keep what they know, by group.
STATE = {
    "deploy": ("/etc/funai-deploy",),
    "runner": ("/etc/funai-runner", "/var/lib/funai-runner"),
    "runtime": ("/etc/funai-runtime", "/var/lib/funai-runtime"),
}
UNITS = {
    "deploy": "funai-deploy",
    "runner": "funai-runner",
    "runtime": "funai-runtime-agent",
}


@dataclass(frozen=True)
class Settled:
    """An app that was given settings and then deployed."""

    job: dict[str, Any]
    #: As its secret was set; a word of this run.
    secret: str = field(repr=False)


@pytest.fixture(scope="module")
def settled(
    platform: Platform, deploy_client: DeployClient, http: requests.Session
) -> Iterator[Settled]:
    secret = f"canary-{uuid.uuid4().hex}"
    body = {
        "containerPort": int(platform.settings["acceptance_container_port"]),
        "memoryMib": MEMORY_MIB,
        "cpus": CPUS,
        "environment": [
            {"name": "ACCEPTANCE_TOKEN", "value": secret},
            {"name": "ACCEPTANCE_LEVEL", "value": "info", "secret": False},
        ],
    }
    answer = http.put(url(platform), json=body, headers=proof(platform), timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    payload = {"appId": APP_ID, "userId": USER_ID, "image": platform.settings["acceptance_image"]}
    created = deploy_client.create_job(
        {"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True}, uuid.uuid4().hex
    )
    job = deploy_client.wait_for_job(created["id"], DEPLOY_SECONDS)
    assert job["status"] == "SUCCEEDED", job["errorMessage"]
    yield Settled(job, secret)
    with suppress(DeployError):
        deploy_client.clean_up_app(APP_ID, USER_ID)


def url(platform: Platform) -> str:
    return f"{platform.deploy_url}/deploy/apps/{APP_ID}/settings"


def proof(platform: Platform) -> dict[str, str]:
    return {"X-DEPLOY-SECRET": platform.credential("deploy_secret")}


@pytest.mark.point("Settings reach the app's container")
def test_container_has_what_the_app_was_given(
    platform: Platform,
    settled: Settled,
    connect: Callable[[str], Any],
    record_evidence: RecordEvidence,
) -> None:
    host = connect(settled.job["runtimeNode"]["name"])
    listing = "docker ps --filter label=io.funai.app=%s --format '{{.ID}}'"
    name = host.check_output(listing, APP_ID).split()[0]

    found = json.loads(host.check_output("docker inspect %s", name))[0]

    variables = dict(entry.split("=", 1) for entry in found["Config"]["Env"])
    limits = found["HostConfig"]["Memory"] // 2**20, found["HostConfig"]["NanoCpus"] / 1e9
    record_evidence(f"{settled.job['id']}: memory {limits[0]} MiB, {limits[1]} CPUs")
    assert limits == (MEMORY_MIB, CPUS)
    assert variables["ACCEPTANCE_LEVEL"] == "info"
    assert variables["ACCEPTANCE_TOKEN"] == settled.secret, "the secret is another one"
    assert variables["BASE_PATH"] == f"/apps/{APP_ID}"


@pytest.mark.point("Secrets of apps are shown by nothing")
def test_secret_is_in_no_answer_of_deploy(
    platform: Platform, settled: Settled, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    job = f"{platform.deploy_url}/deploy/jobs/{settled.job['id']}"
    for address in (url(platform), job, f"{job}/events", f"{job}/logs"):
        answer = http.get(address, headers=proof(platform), timeout=TIMEOUT)

        record_evidence(f"GET {address}: {answer.status_code}")
        assert answer.status_code == 200
        assert settled.secret not in answer.text, f"{address} shows the secret"


@pytest.mark.point("Secrets of apps are shown by nothing")
@pytest.mark.parametrize("group", STATE)
def test_secret_is_in_no_file_and_no_journal(
    platform: Platform,
    settled: Settled,
    connect: Callable[[str], Any],
    record_evidence: RecordEvidence,
    group: str,
) -> None:
    for name in platform.hosts[group]:
        host = connect(name)
        for folder in STATE[group]:
            found = host.run("grep -rlF %s %s", settled.secret, folder)
            record_evidence(f"{name}: {folder} holds {len(found.stdout.splitlines())} of it")
            assert found.stdout == "", f"{name}: {found.stdout}"
        command = "journalctl --unit %s --since -1hour --output cat --no-pager | grep -cF %s"
        assert host.run(command, UNITS[group], settled.secret).stdout.strip() == "0"
