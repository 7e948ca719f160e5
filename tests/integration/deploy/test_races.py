"""Many at once: no job twice, no app twice, fences that only grow."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from funai.deploy.config import Settings
from funai.deploy.database import make_engine
from funai.deploy.jobs.candidates import Candidate
from funai.deploy.jobs.leases import explain
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes.model import Beat
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.model import Waiting
from tests.integration.deploy_process import ADMIN, API, RUNNER, SECRETS, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

CLAIMERS = 8


def claim_all(deploy: DeployProcess, name: str) -> list[dict[str, Any]]:
    """Claim until nothing is left for a while; returns the claimed jobs."""
    jobs: list[dict[str, Any]] = []
    while True:
        # Right after its start Deploy may have no job yet: it asks the nodes first.
        status, envelope = deploy.claim(name, waitSeconds=4)
        assert (status, envelope["code"]) == (200, 200), envelope
        if envelope["data"] is None:
            return jobs
        jobs.append(envelope["data"])


def expire_leases(deploy: DeployProcess) -> None:
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = 1 WHERE status='RUNNING'")


def test_eight_claimers_never_get_one_job_twice(deploy: DeployProcess) -> None:
    deploy.beat()
    created = {deploy.create(f"app-{number}")[1]["data"]["id"] for number in range(24)}

    with ThreadPoolExecutor(CLAIMERS) as pool:
        lists = list(pool.map(lambda n: claim_all(deploy, f"runner-{n}"), range(CLAIMERS)))

    claimed = [job["id"] for jobs in lists for job in jobs]
    assert sorted(claimed) == sorted(created)
    rows = deploy.schema.rows("SELECT app_id, attempt, fence FROM fun_ai_deploy_job")
    assert {(row["attempt"], row["fence"]) for row in rows} == {(1, 1)}


def test_expired_lease_is_taken_by_one_of_eight(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    fences = [deploy.claimed("runner-first")["fence"]]

    for _ in range(2):
        expire_leases(deploy)
        with ThreadPoolExecutor(CLAIMERS) as pool:
            answers = list(pool.map(lambda n: deploy.claim(f"runner-{n}")[1], range(CLAIMERS)))
        winners = [answer["data"] for answer in answers if answer["data"] is not None]
        assert [answer["code"] for answer in answers] == [200] * CLAIMERS
        assert len(winners) == 1
        fences.append(winners[0]["fence"])

    assert fences == sorted(set(fences))


def test_expired_job_goes_before_younger_ones(deploy: DeployProcess) -> None:
    deploy.beat()
    oldest = deploy.create("oldest")[1]["data"]
    deploy.claimed("runner-gone")
    for number in range(3):
        deploy.create(f"younger-{number}")
    expire_leases(deploy)

    assert deploy.claimed("runner-2")["id"] == oldest["id"]


def test_same_key_at_once_makes_one_job(deploy: DeployProcess) -> None:
    def create(app_id: str) -> dict[str, Any]:
        body = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": app_id, "image": "a/b:1"}}
        headers = {**API, "Idempotency-Key": "one-click"}
        return deploy.call("POST", "/deploy/jobs", body, headers)[1]

    with ThreadPoolExecutor(CLAIMERS) as pool:
        same = list(pool.map(create, ["app-1"] * CLAIMERS))

    assert {answer["code"] for answer in same} == {200}
    assert len({answer["data"]["id"] for answer in same}) == 1


def test_heartbeats_and_cancels_at_once_leave_one_end(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    job = deploy.claimed()
    path = f"/deploy/jobs/{job['id']}"
    words: list[Callable[[], dict[str, Any]]] = [
        lambda: deploy.call("POST", f"{path}/cancel", {}, API)[1],
        lambda: deploy.report(job, "SUCCEEDED")[1],
        lambda: deploy.report(job, "FAILED", errorMessage="no")[1],
        lambda: deploy.call("POST", f"{path}/heartbeat", {"runnerId": "runner-1"}, RUNNER)[1],
    ]

    with ThreadPoolExecutor(CLAIMERS) as pool:
        answers = list(pool.map(lambda word: word(), words * 2))

    ends = {answer["data"]["status"] for answer in answers if answer["code"] == 200}
    assert len(ends - {"RUNNING"}) == 1
    query = "SELECT to_status FROM fun_ai_deploy_job_event WHERE to_status IS NOT NULL"
    assert len(deploy.schema.rows(query)) == 3


def test_waiting_claims_share_what_is_created(deploy: DeployProcess) -> None:
    deploy.beat()
    got: list[dict[str, Any]] = []
    waiters = [
        threading.Thread(
            target=lambda n=n: got.append(deploy.claimed(f"runner-{n}", waitSeconds=20))
        )
        for n in range(4)
    ]
    for waiter in waiters:
        waiter.start()

    created = [deploy.create(f"app-{number}")[1]["data"]["id"] for number in range(4)]
    for waiter in waiters:
        waiter.join(timeout=30)

    assert sorted(job["id"] for job in got) == sorted(created)


def test_claim_waits_in_vain_for_its_time_and_no_longer(deploy: DeployProcess) -> None:
    started = time.monotonic()

    status, envelope = deploy.claim(waitSeconds=1)

    assert (status, envelope["code"], envelope["data"]) == (200, 200, None)
    assert 0.9 < time.monotonic() - started < 10


def test_two_that_say_why_a_job_waits_write_it_down_once(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    """Two reapers looked at the same time, and both found that nobody had said so."""
    # Its own reaper would say another reason in between.
    deploy = start_deploy(DEPLOY_REAPER_SECONDS="60")
    job_id = deploy.create()[1]["data"]["id"]
    env = {**SECRETS, **deploy.schema.env()}
    engine = make_engine(Settings.from_env(env).database, pool_size=2)
    try:
        with engine.begin() as connection:
            job = JobRepository(connection).get(job_id)
        assert job is not None
        for _ in range(2):
            with engine.begin() as connection:
                explain(connection, Candidate.of(job), Waiting("NO_NODE", "no node is fresh"))
    finally:
        engine.dispose()

    events = deploy.call("GET", f"/deploy/jobs/{job_id}/events", None, API)[1]["data"]
    assert [event["reason"] for event in events].count("no node is fresh") == 1


def test_beat_that_was_checked_before_an_operator_changed_a_url_leaves_it(
    deploy: DeployProcess,
) -> None:
    node_id = deploy.beat()[1]["data"]["id"]["value"]
    before = Beat("node-1", "http://127.0.0.1:7005", "http://127.0.0.1:80", container_count=3)
    moved = {"agentBaseUrl": "http://127.0.0.9:7005", "gatewayBaseUrl": "http://127.0.0.9:80"}
    path = "/admin/runtime-nodes/upsert"
    changed = deploy.call("POST", path, {"name": "node-1", **moved}, ADMIN)
    assert changed[1]["code"] == 200, changed
    env = {**SECRETS, **deploy.schema.env()}
    engine = make_engine(Settings.from_env(env).database, pool_size=1)
    try:
        with engine.begin() as connection:
            NodeRepository(connection, 60).beat(node_id, before)
            found = NodeRepository(connection, 60).by_id(node_id)
    finally:
        engine.dispose()

    assert found is not None
    assert (found.agent_base_url, found.gateway_base_url) == tuple(moved.values())
    assert found.container_count == 3
