"""Jobs that come, or run, while their app is removed: they end, and nothing of them stays on the node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.test_operators import TARGET, deployed, eventually
from tests.integration.deploy.webhook_receiver import Receiver, declared
from tests.integration.deploy_process import API, RUNNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.deploy.agent_stub import AgentStub
    from tests.integration.deploy_process import DeployProcess

    Start = Callable[..., DeployProcess]

DELETE = "/agent/apps/delete"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is told of the ends of jobs."""
    with Receiver() as found:
        yield found


@pytest.fixture
def deploy(
    start_deploy: Start, agent: AgentStub, receiver: Receiver, tmp_path: Path
) -> DeployProcess:
    """A Deploy whose app serves on node-1."""
    settings = {**declared(tmp_path, ops=receiver), "DEPLOY_REAPER_SECONDS": "0.1"}
    deploy = start_deploy(**settings)
    deployed(deploy, agent)
    return deploy


def deletes(agent: AgentStub) -> list[dict[str, Any]]:
    return [body for path, body, _ in agent.calls if path == DELETE]


def clean_up(
    deploy: DeployProcess, agent: AgentStub, meanwhile: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Clean the app up; return the job that came while the node was asked, and the answer."""
    answers: list[dict[str, Any]] = []

    def ask() -> None:
        answers.append(deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)[1]["data"])

    # Deploy waits three seconds for silence to end, and what comes meanwhile may take longer.
    agent.drips = True
    agent.hold.clear()
    asking = threading.Thread(target=ask)
    asking.start()
    assert eventually(lambda: deletes(agent) != [])
    job = meanwhile()
    agent.hold.set()
    asking.join()
    return job, answers[0]


def told_of(receiver: Receiver, job_id: str) -> dict[str, Any] | None:
    found = [call.told["data"] for call in list(receiver.calls)]
    return next((data for data in found if data["id"] == job_id), None)


def check_cancelled(deploy: DeployProcess, receiver: Receiver, job_id: str) -> None:
    assert eventually(lambda: told_of(receiver, job_id) is not None)
    told = told_of(receiver, job_id) or {}
    assert (told["status"], told["reason"]) == ("CANCELLED", "the app was removed")
    assert deploy.call("GET", f"/deploy/jobs/{job_id}", None, API)[1]["code"] == 404


def check_cleared(deploy: DeployProcess, agent: AgentStub, job: dict[str, Any]) -> None:
    """The node is asked once more, above all calls of the job, and then there is nothing left."""
    assert eventually(lambda: deletes(agent) != [] and deletes(agent)[-1]["fence"] > job["fence"])
    query = "SELECT app_id FROM fun_ai_deploy_leftover"
    assert eventually(lambda: deploy.schema.rows(query) == [])


def test_job_that_is_claimed_during_a_cleanup_ends_and_is_cleared_away(
    deploy: DeployProcess, agent: AgentStub, receiver: Receiver
) -> None:
    def come() -> dict[str, Any]:
        deploy.create("shop")
        return deploy.claimed()

    job, answer = clean_up(deploy, agent, come)

    assert (answer["runtime"]["success"], answer["purge"]["deletedJobs"]) == (True, 2)
    check_cancelled(deploy, receiver, job["id"])
    beat = {"runnerId": job["runnerId"], "fence": job["fence"]}
    path = f"/deploy/jobs/{job['id']}/heartbeat"
    assert deploy.call("POST", path, beat, RUNNER)[1]["code"] == 404
    check_cleared(deploy, agent, job)


def test_job_that_succeeds_during_a_cleanup_is_cleared_away(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    def come() -> dict[str, Any]:
        deploy.create("shop")
        job = deploy.claimed()
        deploy.report(job, "SUCCEEDED")
        return job

    job, _ = clean_up(deploy, agent, come)

    assert eventually(lambda: len(deletes(agent)) >= 2)
    # Nothing was claimed since: a call with the job's own fence is above those that it made.
    assert deletes(agent)[-1]["fence"] == job["fence"]


def test_job_that_nobody_claimed_during_a_cleanup_ends_and_leaves_nothing(
    deploy: DeployProcess, agent: AgentStub, receiver: Receiver
) -> None:
    job, answer = clean_up(deploy, agent, lambda: deploy.create("shop")[1]["data"])

    assert answer["purge"]["deletedJobs"] == 2
    check_cancelled(deploy, receiver, job["id"])
    query = "SELECT app_id FROM fun_ai_deploy_leftover"
    assert deploy.schema.rows(query) == []


def test_purge_of_an_app_whose_job_runs_ends_the_job_and_clears_its_node(
    deploy: DeployProcess, agent: AgentStub, receiver: Receiver
) -> None:
    deploy.create("shop")
    job = deploy.claimed()

    purged = deploy.call("POST", "/deploy/apps/purge", TARGET, API)[1]["data"]

    assert purged == {
        **TARGET, "deletedJobs": 2, "deletedAppRuns": 1, "deletedPlacements": 1,
    }  # fmt: skip
    check_cancelled(deploy, receiver, job["id"])
    check_cleared(deploy, agent, job)
    assert deletes(agent)[-1]["userId"] == "1"
