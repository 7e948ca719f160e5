"""Lists and logs of a real Deploy, as people and as scripts get them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.test_job_logs import append, running
from tests.integration.deploy_process import NODE, SECRETS
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.cli.conftest import CommandLine
    from tests.integration.deploy_process import DeployProcess

PAGE = Path("docs/operations/command_line.md")


def document(commands: CommandLine, *arguments: str) -> dict[str, Any]:
    """Run a task for scripts; its members must stand on the page."""
    done = commands.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    missing = {name for name in _members(found) if f"`{name}`" not in PAGE.read_text()}
    assert not missing, f"{PAGE} does not name {missing}"
    return found


def _members(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield name
            yield from _members(value)
    if isinstance(found, list):
        for value in found:
            yield from _members(value)


def deployed(deploy: DeployProcess, app_id: str = "shop") -> dict[str, Any]:
    """Return a job of the app that succeeded."""
    deploy.beat(diskFreePct=61.5, diskFreeBytes=76_000_000_000, containerCount=4)
    deploy.create(app_id)
    job = deploy.claimed()
    result = {"image": "registry.test/demo:1", "imageDigest": "sha256:" + "a" * 64}
    deploy.report(job, "SUCCEEDED", result=result)
    return job


def test_app_is_shown_with_state_revision_node_and_url(
    deploy: DeployProcess, commands: CommandLine
) -> None:
    job = deployed(deploy)
    deploy.create("later")

    (later, shop) = document(commands, "apps")["apps"]
    table = commands.run("apps").stdout.splitlines()

    assert (shop["state"], shop["node"], shop["lastJobId"]) == ("RUNNING", "node-1", job["id"])
    assert (shop["revision"], shop["release"]) == (1, "r1")
    assert shop["url"] == "http://127.0.0.1:80/apps/shop/"
    assert later["state"] == "DEPLOYING"
    assert table[0].split() == ["APP", "STATE", "REVISION", "NODE", "DEPLOYED", "URL"]
    assert table[2].split()[:4] == ["shop", "running", "r1", "node-1"]


def test_jobs_say_why_they_wait_and_why_they_failed(
    deploy: DeployProcess, commands: CommandLine
) -> None:
    failed = running(deploy)
    deploy.report(failed, "FAILED", errorMessage="the app exited with 3\nmore")
    deploy.create("waits")

    waiting, ended = document(commands, "jobs")["jobs"]
    table = commands.run("jobs").stdout
    of_app = document(commands, "jobs", "--app", "waits", "--limit", "1")["jobs"]

    assert (waiting["status"], ended["status"]) == ("PENDING", "FAILED")
    assert ended["seconds"] >= 0
    assert "the app exited with 3" in table
    assert "more" not in table
    assert [job["appId"] for job in of_app] == ["waits"]


def test_nodes_are_shown_with_health_in_words(deploy: DeployProcess, commands: CommandLine) -> None:
    deployed(deploy)
    deploy.beat("node-2", diskFreePct=3, diskFreeBytes=10)

    first, second = document(commands, "nodes")["nodes"]
    table = commands.run("nodes", "--utc").stdout

    assert (first["apps"], first["containers"]) == (1, 4)
    assert first["diskFreeRatio"] == pytest.approx(0.615)
    assert second["health"] == "UNHEALTHY"
    assert "disk nearly full" in table
    assert "UTC" in table


def test_log_of_a_job_is_shown_from_its_end(deploy: DeployProcess, commands: CommandLine) -> None:
    job = running(deploy)
    append(deploy, job, 0, [f"line {n}" for n in range(30)])

    found = document(commands, "logs", "--job", job["id"], "--lines", "2")
    done = commands.run("logs", "--job", job["id"], "--lines", "1")

    assert [line["text"] for line in found["lines"]] == ["line 28", "line 29"]
    assert (found["total"], found["ended"]) == (30, False)
    assert done.stdout == "22:13:20 BUILD    line 29\n"
    assert "fab tail" in done.stderr


def test_log_of_an_app_comes_from_its_node(deploy: DeployProcess, commands: CommandLine) -> None:
    agent = AgentStub()
    try:
        agent.log = b"one\ntwo\n"
        beat = {
            "nodeName": "node-1",
            "agentBaseUrl": agent.url,
            "gatewayBaseUrl": "http://127.0.0.1",
        }
        deploy.call("POST", "/internal/runtime-nodes/heartbeat", beat, NODE)
        deploy.create("shop")
        deploy.report(deploy.claimed(), "SUCCEEDED")

        done = commands.run("logs", "--app", "shop", "--lines", "2")
        found = document(commands, "logs", "--app", "shop")
    finally:
        agent.close()

    assert done.stdout == "one\ntwo\n"
    assert found["lines"] == ["one", "two"]


def test_empty_platform_is_told_in_a_sentence(commands: CommandLine) -> None:
    for task in ("apps", "jobs", "nodes"):
        done = commands.run(task)
        assert (done.returncode, done.stdout) == (0, "")
        assert "no" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("jobs", "--limit", "0"), "--limit '0' is not", id="limit"),
        pytest.param(("logs",), "one of --job ID and --app ID", id="neither"),
        pytest.param(("tail", "--job", "1", "--app", "2"), "one of --job ID", id="both"),
        pytest.param(("logs", "--job", "unknown"), "no job", id="unknown job"),
        pytest.param(("logs", "--job", "../health"), "is no id", id="no id"),
        pytest.param(("logs", "--app", "unknown"), "not placed", id="unknown app"),
    ],
)
def test_wrong_use_is_told_with_what_to_do(
    commands: CommandLine, arguments: tuple[str, ...], sentence: str
) -> None:
    done = commands.run(*arguments)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "\n  next: " in done.stderr


def test_wrong_secret_is_told_and_not_printed(
    deploy: DeployProcess, commands_for: Callable[..., CommandLine]
) -> None:
    wrong = "wrong-secret-of-deploy"

    done = commands_for(deploy.url, FUNAI_DEPLOY_SECRET=wrong).run("jobs", "--json")

    assert done.returncode == 2
    assert "does not take the secret" in json.loads(done.stdout)["error"]["reason"]
    assert wrong not in done.stdout + done.stderr
    assert SECRETS["DEPLOY_ADMIN_TOKEN"] not in done.stdout + done.stderr


def test_deploy_that_is_not_there_is_told(commands_for: Callable[..., CommandLine]) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = commands_for(url).run("jobs")

    assert done.returncode == 2
    assert f"Deploy at {url} cannot be reached" in done.stderr
