"""Containers that apps left on nodes: nodes that do not answer keep nobody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.test_operators import eventually
from tests.integration.deploy_process import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy_process import DeployProcess

DELETE = "/agent/apps/delete"
UNKNOWN_NODE = 999
DONE = (200, {"status": "DONE"})


@pytest.fixture
def deploy(start_deploy: Callable[..., DeployProcess], agent: AgentStub) -> DeployProcess:
    """A Deploy that looks often, and takes twenty seconds for an absence; jobs have one attempt."""
    return start_deploy(
        DEPLOY_REAPER_SECONDS="0.05",
        DEPLOY_NODE_STALE_SECONDS="60",
        DEPLOY_MAX_ATTEMPTS="1",
    )


@pytest.fixture
def moving(start_deploy: Callable[..., DeployProcess]) -> DeployProcess:
    """A Deploy that looks often, and takes no node for stale."""
    return start_deploy(DEPLOY_REAPER_SECONDS="0.05")


def beat(deploy: DeployProcess, name: str, agent: AgentStub) -> int:
    answer = deploy.beat(name, agentBaseUrl=agent.url)[1]
    return int(answer["data"]["id"]["value"])


def leave(deploy: DeployProcess, node_id: int, *app_ids: str, hours: int = 2) -> None:
    """Note that the apps were left on the node so long ago."""
    at = f"UTC_TIMESTAMP(6) - INTERVAL {hours} HOUR"
    apps = ", ".join(f"('{app_id}', 1, 5, {at}, {at})" for app_id in app_ids)
    notes = ", ".join(f"('{app_id}', {node_id}, '7', 5, {at}, {at})" for app_id in app_ids)
    deploy.schema.execute(
        "INSERT IGNORE INTO fun_ai_deploy_app (app_id, deploy_seq, fence, create_time, update_time)"
        f" VALUES {apps}",
        "INSERT INTO fun_ai_deploy_leftover (app_id, node_id, user_id, fence, create_time,"
        f" update_time) VALUES {notes}",
    )


def left(deploy: DeployProcess, node_id: int) -> int:
    query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_leftover WHERE node_id = %s"
    return int(deploy.schema.rows(query, node_id)[0]["n"])


def many(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def test_dead_node_does_not_keep_others_from_being_cleared(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    dead, node_id = beat(deploy, "node-2", agent), beat(deploy, "node-1", agent)
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_runtime_node SET last_heartbeat_at = UTC_TIMESTAMP(6)"
        f" - INTERVAL 1 HOUR WHERE id = {dead}"
    )
    leave(deploy, dead, *many("a", 51))
    leave(deploy, UNKNOWN_NODE, "nowhere")
    leave(deploy, node_id, "shop", hours=1)

    assert eventually(lambda: left(deploy, node_id) == 0)
    assert eventually(lambda: left(deploy, UNKNOWN_NODE) == 0)
    # A node that took its time is asked again, for the same.
    for path, body, _ in agent.calls:
        assert (path, body) == (DELETE, {"userId": "7", "appId": "shop", "fence": 5})
    assert left(deploy, dead) == 51


def test_nodes_that_hang_keep_neither_others_nor_the_reaper(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    other = AgentStub()
    try:
        hanging = [beat(deploy, f"node-{number}", agent) for number in range(1, 5)]
        well = beat(deploy, "node-5", other)
        deploy.create("long")
        deploy.claimed(leaseSeconds=600)
        agent.hold.clear()
        for node_id in hanging:
            leave(deploy, node_id, *many(f"a-{node_id}", 60))
        leave(deploy, well, "shop", hours=1)

        assert eventually(lambda: len(agent.calls) > 0)
        deploy.schema.execute(
            "UPDATE fun_ai_deploy_job SET started_at = started_at - INTERVAL 1 DAY"
        )
        # The sweep waits for the four of them for three seconds each.
        assert eventually(lambda: reason(deploy, "long") == "RUNNING_TOO_LONG", seconds=8)
        assert eventually(lambda: left(deploy, well) == 0)
        # The reaper saw no absence in what hung, which would spare a job.
        beat(deploy, "node-5", other)
        deploy.create("lost")
        deploy.claimed()
        deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = 1")
        assert eventually(lambda: reason(deploy, "lost") == "LEASE_EXHAUSTED", seconds=8)
        assert [left(deploy, node_id) for node_id in hanging] == [60] * 4
    finally:
        other.close()


def test_app_that_cannot_be_removed_lets_others_of_its_node_go_first(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    node_id = beat(deploy, "node-1", agent)
    agent.answer = (503, {"detail": "the engine is away"})
    leave(deploy, node_id, "first", hours=2)
    leave(deploy, node_id, "second", hours=1)

    assert eventually(lambda: len(agent.calls) >= 2)
    assert [body["appId"] for _, body, _ in agent.calls[:2]] == ["first", "second"]


def test_node_that_cannot_be_asked_keeps_no_other_from_being_cleared(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    odd, node_id = beat(deploy, "node-1", agent), beat(deploy, "node-2", agent)
    # No such name can be looked up; it was taken before names were checked.
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_runtime_node SET agent_base_url = 'http://node..example:7005'"
        f" WHERE id = {odd}"
    )
    leave(deploy, odd, "one")
    leave(deploy, node_id, "two")

    assert eventually(lambda: left(deploy, node_id) == 0)
    assert left(deploy, odd) == 1


def test_app_that_left_two_nodes_is_removed_from_both(
    moving: DeployProcess, agent: AgentStub
) -> None:
    """Both were away when it moved on."""
    other, third = AgentStub(), AgentStub()
    agent.answer = other.answer = (503, {"detail": "the engine is away"})
    try:
        nodes = [beat(moving, "node-1", agent), beat(moving, "node-2", other)]
        target = beat(moving, "node-3", third)
        for node_id in (nodes[0], nodes[1], target):
            move(moving, node_id)
        assert [left(moving, node_id) for node_id in (*nodes, target)] == [1, 1, 0]

        agent.answer = other.answer = DONE
        moving.schema.execute(
            "UPDATE fun_ai_deploy_leftover SET update_time = update_time - INTERVAL 1 MINUTE"
        )

        assert eventually(lambda: [left(moving, node_id) for node_id in nodes] == [0, 0])
        for asked in (agent, other):
            assert asked.calls[-1][:2] == (DELETE, {"userId": "1", "appId": "shop", "fence": 3})
        assert third.calls == []
    finally:
        other.close()
        third.close()


def test_app_that_comes_back_is_not_removed(moving: DeployProcess, agent: AgentStub) -> None:
    other = AgentStub()
    try:
        first, second = beat(moving, "node-1", agent), beat(moving, "node-2", other)
        for node_id in (first, second, first):
            move(moving, node_id)

        assert (left(moving, first), left(moving, second)) == (0, 1)
    finally:
        other.close()


def test_app_is_never_removed_where_its_requests_go(
    moving: DeployProcess, agent: AgentStub
) -> None:
    node_id = beat(moving, "node-1", agent)
    move(moving, node_id)
    at = "UTC_TIMESTAMP(6) - INTERVAL 2 HOUR"
    moving.schema.execute(
        "INSERT INTO fun_ai_deploy_leftover (app_id, node_id, user_id, fence, create_time,"
        f" update_time) VALUES ('shop', {node_id}, '7', 5, {at}, {at})"
    )
    leave(moving, node_id, "later", hours=1)

    assert eventually(lambda: left(moving, node_id) == 1)

    assert [body["appId"] for _, body, _ in agent.calls] == ["later"]


def test_note_of_a_later_move_outlives_the_end_of_an_earlier_removal(
    moving: DeployProcess, agent: AgentStub
) -> None:
    node_id = beat(moving, "node-1", agent)
    agent.hold.clear()
    leave(moving, node_id, "shop")
    assert eventually(lambda: len(agent.calls) == 1)
    # It came back, and left once more, while the node removed what it had left first.
    moving.schema.execute("UPDATE fun_ai_deploy_app SET fence = 9")
    moving.schema.execute(
        "UPDATE fun_ai_deploy_leftover SET fence = 9, update_time = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR"
    )

    agent.hold.set()

    assert eventually(lambda: left(moving, node_id) == 0)
    assert [body["fence"] for _, body, _ in agent.calls] == [5, 9]


def move(deploy: DeployProcess, node_id: int) -> None:
    """Deploy the app to the node, wherever it was."""
    if deploy.schema.rows("SELECT 1 FROM fun_ai_deploy_runtime_placement"):
        body = {"appId": "shop", "targetNodeId": node_id}
        deploy.call("POST", "/admin/runtime-nodes/reassign", body, ADMIN)
    deploy.create("shop")
    job = deploy.claimed()
    assert job["runtimeNode"]["id"]["value"] == node_id
    assert deploy.report(job, "SUCCEEDED")[1]["code"] == 200


def reason(deploy: DeployProcess, app_id: str) -> str | None:
    query = "SELECT reason_code FROM fun_ai_deploy_job WHERE app_id = %s"
    return cast("str | None", deploy.schema.rows(query, app_id)[0]["reason_code"])
