"""The deploy path does not need the Workspace host."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.acceptance import preview_access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from tests.acceptance.conftest import Deploy, DeployedApp, RecordEvidence
    from tests.acceptance.live_platform import Platform
    from tests.acceptance.sample_build import Builder, Built

CONTAINER_PREFIX = "funai-lab-"
BOOT_SECONDS = 120
TIMEOUT = 5  # seconds


@pytest.fixture
def stopped_workspace(
    platform: Platform, http: requests.Session, connect: Callable[[str], Any]
) -> Iterator[list[str]]:
    """The lab's Workspace hosts, off; on again and answering when the check is over."""
    engine = docker.from_env()
    cookie = preview_access.cookie(platform, connect)
    hosts = [engine.containers.get(CONTAINER_PREFIX + name) for name in platform.hosts["workspace"]]
    for host in hosts:
        host.stop(timeout=20)
    yield [str(host.name) for host in hosts]
    for host in hosts:
        host.start()
    url = (
        f"http://{platform.address('workspace')}/ws/{platform.settings['acceptance_preview_user']}/"
    )
    wait_until_ok(http, url, cookie, BOOT_SECONDS)
    engine.close()


def wait_until_ok(http: requests.Session, url: str, cookie: str, seconds: float) -> None:
    """Return once the URL answers 200; fail after that many seconds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            answer = http.get(url, headers={"Cookie": cookie}, timeout=TIMEOUT)
        except OSError as exc:
            last = str(exc)
        else:
            if answer.status_code == 200:
                return
            last = str(answer.status_code)
        pause.wait(1)
    pytest.fail(f"{url} is not back after {seconds} s: {last}")


@pytest.mark.disturbs
@pytest.mark.point("With the Workspace host stopped a deploy still works")
def test_deploy_succeeds_while_the_workspace_host_is_off(
    platform: Platform,
    app: DeployedApp,
    stopped_workspace: list[str],
    deploy: Deploy,
    http: requests.Session,
    record_evidence: RecordEvidence,
) -> None:
    again = deploy(platform.settings["acceptance_next_image"])

    answer = http.get(f"{platform.edge_url}/apps/{app.app_id}/", timeout=TIMEOUT)

    record_evidence(
        f"{', '.join(stopped_workspace)} off: job {again.job_id} {again.job['status']},"
        f" edge answers {answer.status_code}"
    )
    assert again.job["status"] == "SUCCEEDED"
    assert answer.status_code == 200


@pytest.mark.disturbs
@pytest.mark.point("A build does not touch the Workspace host")
def test_build_succeeds_while_the_workspace_host_is_off(
    builder: Builder,
    built: Built,
    stopped_workspace: list[str],
    record_evidence: RecordEvidence,
) -> None:
    again = builder.build(rebuild=True)

    record_evidence(f"{', '.join(stopped_workspace)} off: job {again.job['id']} SUCCEEDED")
    assert again.revision["commit"] == built.revision["commit"]
    assert any("STEP" in line["text"] for line in again.log)
