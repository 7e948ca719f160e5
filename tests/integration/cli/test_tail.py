"""Logs that are followed: to the end of the job, over breaks, each line once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.integration.deploy.test_job_logs import append, running
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from tests.integration.cli.conftest import CommandLine
    from tests.integration.deploy_process import DeployProcess

SECONDS = 60


def test_follower_ends_with_the_job_that_succeeded(
    deploy: DeployProcess, commands: CommandLine
) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["before"])
    process = commands.start("tail", "--job", job["id"])
    assert process.stdout is not None

    first = process.stdout.readline()
    append(deploy, job, 1, ["while it is followed"])
    second = process.stdout.readline()
    deploy.report(job, "SUCCEEDED")
    rest, _ = process.communicate(timeout=SECONDS)

    assert first.endswith("before\n")
    assert second.endswith("while it is followed\n")
    assert f"job {job['id']} succeeded" in rest
    assert process.returncode == 0


def test_job_that_failed_ends_with_1_and_its_reason(
    deploy: DeployProcess, commands: CommandLine
) -> None:
    job = running(deploy)
    deploy.report(job, "FAILED", errorMessage="the app exited with 3")

    done = commands.run("tail", "--job", job["id"])
    for_scripts = commands.run("tail", "--job", job["id"], "--json")

    assert done.returncode == for_scripts.returncode == 1
    assert "the app exited with 3" in done.stdout
    last = json.loads(for_scripts.stdout.splitlines()[-1])
    assert (last["event"], last["status"]) == ("end", "FAILED")


def test_restart_of_deploy_loses_no_line_and_repeats_none(
    deploy: DeployProcess, commands: CommandLine
) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["one", "two"])
    process = commands.start("tail", "--job", job["id"], "--json")
    assert process.stdout is not None

    seen = [process.stdout.readline(), process.stdout.readline()]
    deploy.stop()
    deploy.start()
    append(deploy, job, 2, ["three"])
    deploy.report(job, "SUCCEEDED")
    rest, _ = process.communicate(timeout=SECONDS)

    records = [json.loads(line) for line in (*seen, *rest.splitlines())]
    assert [record.get("text") for record in records] == ["one", "two", "three", None]
    assert process.returncode == 0


def test_job_that_waits_says_why(deploy: DeployProcess, commands: CommandLine) -> None:
    _, answer = deploy.create("shop")
    job_id = answer["data"]["id"]
    process = commands.start("tail", "--job", job_id)
    assert process.stderr is not None

    lines = [process.stderr.readline() for _ in range(2)]
    deploy.call("POST", f"/deploy/jobs/{job_id}/cancel", {}, API)
    process.communicate(timeout=SECONDS)

    assert "waits: " in lines[1]
    assert process.returncode == 1
