"""The newest job of an app wins: what waits goes at once, what runs is asked to end first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

from tests.integration.deploy_process import API, RUNNER, DeployProcess, Schema

APP = "20002"


def create(deploy: DeployProcess, **extra: Any) -> tuple[int, dict[str, Any]]:
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": APP, "image": "a/b:1"}, **extra}
    return deploy.call("POST", "/deploy/jobs", body, API)


def supersede(deploy: DeployProcess) -> dict[str, Any]:
    status, answer = create(deploy, onConflict="supersede")
    assert (status, answer["code"]) == (200, 200), answer
    job: dict[str, Any] = answer["data"]
    return job


def job(deploy: DeployProcess, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = deploy.call("GET", f"/deploy/jobs/{job_id}", None, API)[1]["data"]
    return found


def heartbeat(deploy: DeployProcess, held: dict[str, Any], **extra: Any) -> dict[str, Any]:
    body = {"runnerId": held["runnerId"], "fence": held["fence"], **extra}
    return deploy.call("POST", f"/deploy/jobs/{held['id']}/heartbeat", body, RUNNER)[1]


def test_reject_is_the_default_and_another_word_is_refused(deploy: DeployProcess) -> None:
    first = create(deploy)[1]["data"]

    by_default = create(deploy)
    by_word = create(deploy, onConflict="reject")
    unknown = create(deploy, onConflict="queue")

    assert [by_default[0], by_word[0], unknown[0]] == [409, 409, 400]
    assert first["id"] in by_default[1]["message"]
    assert "onConflict" in unknown[1]["message"]


def test_running_job_ends_when_its_runner_asks_and_the_newer_one_waits(
    deploy: DeployProcess,
) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-old")
    heartbeat(deploy, running, phase="BUILD")

    newer = supersede(deploy)

    asked = job(deploy, running["id"])
    assert (asked["status"], asked["cancelRequested"]) == ("RUNNING", True)
    assert asked["supersededBy"] == newer["id"]
    assert (newer["status"], newer["reasonCode"]) == ("PENDING", "SUPERSEDING")
    assert running["id"] in newer["reason"]
    assert deploy.claim("runner-new")[1]["data"] is None
    answer = heartbeat(deploy, running, phase="DEPLOY")
    assert answer["code"] == 409
    assert newer["id"] in answer["message"]
    after = job(deploy, running["id"])
    assert (after["status"], after["reasonCode"]) == ("CANCELLED", "SUPERSEDED")
    taken = deploy.claimed("runner-new")
    assert taken["id"] == newer["id"]
    assert taken["fence"] > running["fence"]


def test_job_past_the_switch_ends_by_itself(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-old")
    heartbeat(deploy, running, phase="DEPLOY")

    newer = supersede(deploy)

    assert heartbeat(deploy, running)["data"]["cancelRequested"] is True
    assert heartbeat(deploy, running, phase="VERIFY")["code"] == 200
    assert deploy.claim("runner-new")[1]["data"] is None
    assert deploy.report(running, "SUCCEEDED")[1]["data"]["status"] == "SUCCEEDED"
    assert deploy.claimed("runner-new")["id"] == newer["id"]


def test_third_job_takes_the_place_of_the_waiting_one(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-old")
    second, third = supersede(deploy), supersede(deploy)

    beside = create(deploy)

    assert job(deploy, second["id"])["status"] == "CANCELLED"
    assert job(deploy, second["id"])["supersededBy"] == third["id"]
    assert job(deploy, running["id"])["status"] == "RUNNING"
    assert beside[0] == 409
    assert third["id"] in beside[1]["message"]


def test_strangers_heartbeat_ends_nothing(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-old")
    supersede(deploy)

    assert heartbeat(deploy, {**running, "runnerId": "runner-other"})["code"] == 409
    assert heartbeat(deploy, {**running, "fence": running["fence"] + 1})["code"] == 409

    assert job(deploy, running["id"])["status"] == "RUNNING"


def test_runner_that_went_does_not_hold_up_the_newer_job(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-gone", leaseSeconds=1)
    newer = supersede(deploy)

    taken = deploy.claimed("runner-new", waitSeconds=15)

    assert taken["id"] == newer["id"]
    after = job(deploy, running["id"])
    assert (after["status"], after["reasonCode"]) == ("CANCELLED", "SUPERSEDED")


def test_cancelling_the_running_job_lets_the_newer_one_go(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    running = deploy.claimed("runner-old")
    newer = supersede(deploy)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(deploy.claimed, "runner-new", waitSeconds=15)
        deploy.call("POST", f"/deploy/jobs/{running['id']}/cancel", {}, API)
        assert waiting.result()["id"] == newer["id"]


def test_many_at_once_leave_one_running_and_one_waiting(deploy: DeployProcess) -> None:
    deploy.beat()
    create(deploy)
    deploy.claimed("runner-old")

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda _: supersede(deploy), range(24)))

    rows = deploy.schema.rows("SELECT id, status FROM fun_ai_deploy_job")
    active = [row["status"] for row in rows if row["status"] in {"PENDING", "RUNNING"}]
    assert sorted(active) == ["PENDING", "RUNNING"]
    assert len({found["id"] for found in created}) == 24


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_database_refuses_a_second_job_of_a_kind(database: Schema, status: str) -> None:
    schema = database
    insert = (
        "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json)"
        " VALUES ('{}', 'BUILD_AND_DEPLOY', 'app', '{}', '{{}}')"
    )
    schema.execute(insert.format("one", status))

    with pytest.raises(pymysql.err.IntegrityError):
        schema.execute(insert.format("two", status))
