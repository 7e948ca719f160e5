"""A database that was restored from an old dump, beside nodes that know of later claims."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.revision_calls import APP, app, deploy_built
from tests.integration.deploy.test_operators import eventually
from tests.integration.deploy_process import ADMIN, API, GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.deploy_process import DeployProcess

#: A claim waits so long for the word of a node.
HEARING_SECONDS = 2


@pytest.fixture
def agent(deploy: DeployProcess) -> Iterator[AgentStub]:
    """The agent of node-1, which knows no app."""
    stub = AgentStub()
    stub.fences = []
    for _ in range(2):
        deploy.beat(agentBaseUrl=stub.url)
    yield stub
    stub.close()


def fence_of(deploy: DeployProcess, app_id: str = APP) -> int:
    query = "SELECT fence FROM fun_ai_deploy_app WHERE app_id = %s"
    rows = deploy.schema.rows(query, app_id)
    return int(rows[0]["fence"]) if rows else 0


def routes(deploy: DeployProcess) -> dict[str, str]:
    """Return the address of each app that has a route."""
    found = deploy.call("GET", "/internal/routes", None, GATEWAY)[1]["data"]["routes"]
    return {route["appId"]: route["address"] for route in found}


def seen(app_id: str, fence: object, job: str | None = None) -> dict[str, Any]:
    serving = {"jobId": job, "fence": fence, "image": "i", "release": "r"} if job else None
    return {"appId": app_id, "highestFence": fence, "serving": serving}


def test_fences_are_raised_to_what_the_node_has_seen(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    first = deploy_built(deploy, 1)
    deploy.stop()
    agent.fences = [
        seen(APP, first["fence"] + 7, "a-job-of-later"),
        seen("made-later", 3, "another-job"),
        seen("Not An Id", 4),
        seen("no-number", "5"),
    ]

    deploy.start()

    assert eventually(lambda: fence_of(deploy) == first["fence"] + 7)
    assert eventually(lambda: fence_of(deploy, "made-later") == 3)
    assert fence_of(deploy, "no-number") == 0
    # The fences go first, then, app by app, what serves.
    assert eventually(lambda: set(routes(deploy)) == {APP, "made-later"})
    made_later = deploy.call("GET", "/deploy/apps/made-later", None, API)[1]["data"]
    assert (made_later["state"], made_later["node"]) == ("RUNNING", "node-1")
    assert eventually(lambda: app(deploy)["unconfirmedJobId"] == "a-job-of-later")
    found = app(deploy)
    assert "restored" in found["reason"]
    assert found["revision"]["number"] == 1
    deploy.create(APP)
    assert deploy.claimed()["fence"] == first["fence"] + 8


def test_word_of_a_node_that_cannot_be_kept_holds_up_no_claim(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy.stop()
    deploy.schema.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON fun_ai_deploy_app FOR EACH ROW"
        " IF NEW.app_id = 'refused' THEN SIGNAL SQLSTATE '45000'; END IF"
    )
    agent.fences = [seen("refused", 3)]

    deploy.start()
    deploy.create(APP)

    assert deploy.claimed()["appId"] == APP
    deploy.schema.rows("DROP TRIGGER refuse")
    assert eventually(lambda: fence_of(deploy, "refused") == 3)


def test_node_that_knows_no_more_changes_nothing(deploy: DeployProcess, agent: AgentStub) -> None:
    first = deploy_built(deploy, 1)
    deploy.stop()
    agent.fences = [seen(APP, first["fence"], first["id"])]
    agent.asked = 0

    deploy.start()

    assert eventually(lambda: agent.asked > 0)
    # A claim on the node waits until all that it said was taken in.
    deploy.create("another")
    deploy.claimed()
    assert app(deploy)["unconfirmedJobId"] is None
    assert fence_of(deploy) == first["fence"]


def test_route_follows_the_node_of_the_newest_claim(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    """The app was moved after the dump: the node that it left serves nothing of it any more."""
    first = deploy_built(deploy, 1)
    agent.fences = [seen(APP, first["fence"] + 1)]
    other = AgentStub()
    other.fences = [seen(APP, first["fence"] + 2, "job-after-the-move")]
    urls = {"agentBaseUrl": other.url, "gatewayBaseUrl": "http://127.0.0.1:8099"}
    deploy.call("POST", "/admin/runtime-nodes/upsert", {"name": "node-2", **urls}, ADMIN)
    # It had been there before, and was still to be cleared of that when the dump was made.
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_leftover SELECT 'shop', id, '7', 1, UTC_TIMESTAMP(6),"
        " UTC_TIMESTAMP(6) FROM fun_ai_deploy_runtime_node WHERE name = 'node-2'"
    )
    try:
        for _ in range(2):
            deploy.beat("node-2", **urls)
        assert eventually(lambda: fence_of(deploy) == first["fence"] + 2)
        assert eventually(lambda: routes(deploy) == {APP: "127.0.0.1:8099"})
    finally:
        other.close()

    assert app(deploy)["node"] == "node-2"
    assert deploy.schema.rows("SELECT * FROM fun_ai_deploy_leftover") == []


def test_what_was_deployed_after_the_restore_keeps_its_route(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    """The node with the highest fence answers only after the app was deployed again elsewhere."""
    first = deploy_built(deploy, 1)
    other = AgentStub()
    agent.fences = [seen(APP, first["fence"], first["id"])]
    try:
        other.fences_status = 503
        for _ in range(2):
            deploy.beat("node-2", agentBaseUrl=other.url, gatewayBaseUrl="http://127.0.0.1:8099")
        assert eventually(lambda: other.asked > 0)
        other.fences = [seen(APP, first["fence"] + 9, "job-before-the-restore")]
        other.fences_status = None
        assert eventually(lambda: fence_of(deploy) == first["fence"] + 9)
        # That node is told of an end only after all that it said was taken in.
        deploy.call("POST", "/admin/runtime-nodes/set-enabled?name=node-1&enabled=off", None, ADMIN)
        deploy.create("elsewhere")
        job = deploy.claimed()
        assert job["runtimeNode"]["name"] == "node-2"
        deploy.report(job, "FAILED", errorMessage="no")
        assert eventually(lambda: other.calls != [])
    finally:
        other.close()

    assert routes(deploy)[APP] == "127.0.0.1:80"
    assert app(deploy)["unconfirmedJobId"] is None


def test_claims_wait_for_the_word_of_the_nodes(deploy: DeployProcess, agent: AgentStub) -> None:
    deploy_built(deploy, 1)
    deploy.stop()
    agent.fences = [seen(APP, 40, "job-of-later")]
    # In silence Deploy would give it up after ten seconds.
    agent.drips = True
    agent.hold.clear()
    deploy.start()
    deploy.create(APP)
    assert eventually(lambda: agent.asked > 0)

    began = time.monotonic()
    assert deploy.claim()[1]["data"] is None
    assert time.monotonic() - began < 10
    agent.hold.set()

    assert deploy.claimed(waitSeconds=20)["fence"] == 41


def claimed_by_one_that_waits(deploy: DeployProcess) -> dict[str, Any]:
    """Return the job of the first claim, or of a later one where each before it waited in vain."""
    while True:
        began = time.monotonic()
        job: dict[str, Any] | None = deploy.claim()[1]["data"]
        if job is not None:
            return job
        assert time.monotonic() - began >= HEARING_SECONDS


def test_claim_right_after_a_start_does_not_come_in_vain(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    first = deploy_built(deploy, 1)
    for number in range(1, 4):
        deploy.stop()
        agent.fences = [seen(APP, first["fence"] + 10 * number, "job-of-later")]
        deploy.start()
        deploy.create(APP)

        job = claimed_by_one_that_waits(deploy)

        assert job["fence"] == first["fence"] + 10 * number + 1
        deploy.report(job, "SUCCEEDED")


def test_failure_after_a_restore_leaves_what_serves_unknown(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    first = deploy_built(deploy, 1)
    deploy.stop()
    told = seen(APP, first["fence"] + 7, "job-of-later")
    agent.fences = [told]
    agent.answer = (200, {"state": "DEPLOYED", "serving": told["serving"]})
    deploy.start()
    assert eventually(lambda: app(deploy)["unconfirmedJobId"] == "job-of-later")

    deploy.create(APP)
    deploy.report(deploy.claimed(waitSeconds=10), "FAILED", errorMessage="no")

    assert eventually(lambda: len(agent.calls) > 0)
    query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_app WHERE closing_node_id IS NOT NULL"
    assert eventually(lambda: deploy.schema.rows(query)[0]["n"] == 0)
    assert app(deploy)["unconfirmedJobId"] == "job-of-later"


def test_refusal_of_an_end_tells_how_far_the_node_is(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy.create(APP)
    job = deploy.claimed()
    evidence = {"fence": job["fence"] + 1, "highestFence": job["fence"] + 20}
    agent.answer = (409, {"detail": "stale", "reason": "STALE_FENCE", "evidence": evidence})

    deploy.report(job, "FAILED", errorMessage="fence is stale", reason="STALE_FENCE")

    assert eventually(lambda: fence_of(deploy) == job["fence"] + 20)


def test_restored_dump_gives_no_fence_again(deploy: DeployProcess, agent: AgentStub) -> None:
    """With a real dump: what was claimed after it is not in it."""
    deploy_built(deploy, 1)
    dump = deploy.schema.server.dump(deploy.schema.name)
    later = [deploy_built(deploy, number)["fence"] for number in (2, 3)]
    deploy.stop()
    deploy.schema.server.restore(deploy.schema.name, dump)
    assert fence_of(deploy) < min(later)
    agent.fences = [seen(APP, max(later), "job-of-revision-3")]

    deploy.start()

    assert eventually(lambda: fence_of(deploy) == max(later))
    assert deploy_built(deploy, 4)["fence"] == max(later) + 1
    assert app(deploy)["unconfirmedJobId"] is None
