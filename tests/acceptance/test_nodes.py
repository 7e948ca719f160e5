"""Nodes and agents: what has to stand before anything can be deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import requests
    from ansible.module_utils.deploy_client import DeployClient

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

TIMEOUT = 10  # seconds


@pytest.mark.point("Node is online in Deploy's list")
def test_every_runtime_host_is_a_healthy_node(
    platform: Platform, deploy_client: DeployClient, record_evidence: RecordEvidence
) -> None:
    by_address = {record.node.agent_base_url: record for record in deploy_client.list_nodes()}

    for name, address in platform.hosts["runtime"].items():
        record = by_address.get(f"http://{address}:7005")
        assert record, f"GET /admin/runtime-nodes/list has no node with the agent of {name}"
        record_evidence(
            f"{record.node.name}: {record.health}, last heartbeat {record.last_heartbeat_at}"
        )
        assert record.health == "HEALTHY", f"{name} is {record.health}"


@pytest.mark.point("Agent answers its health")
def test_every_agent_answers_its_health(
    platform: Platform, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    for name, address in platform.hosts["runtime"].items():
        answer = http.get(f"http://{address}:7005/internal/health", timeout=TIMEOUT)
        record_evidence(f"{name}: {answer.status_code} {answer.text.strip()[:120]}")
        assert answer.status_code == 200
        assert answer.json()["ok"] is True


@pytest.mark.point("Deploy answers its health")
def test_deploy_answers_its_health(
    platform: Platform, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    answer = http.get(f"{platform.deploy_url}/internal/health", timeout=TIMEOUT)

    record_evidence(f"{answer.status_code} {answer.text.strip()[:120]}")
    assert answer.status_code == 200
    assert answer.json()["code"] == 200


@pytest.mark.point("Runner is seen by Deploy")
def test_every_runner_was_seen_lately(
    platform: Platform, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    answer = http.get(
        f"{platform.deploy_url}/admin/runners/list",
        headers={"X-Admin-Token": platform.credential("admin_token")},
        timeout=TIMEOUT,
    ).json()

    healthy = [row["runnerId"] for row in answer["data"] if row["health"] == "HEALTHY"]
    record_evidence(f"healthy: {', '.join(healthy) or 'none'}")
    assert len(healthy) >= len(platform.hosts["runner"])
