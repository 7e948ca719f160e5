"""What a job with a source says while it runs, what of it arrives at Deploy, and what never does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.integration.runner.factory import GIT_SECRET, PUSH_SECRET

if TYPE_CHECKING:
    from tests.integration.runner.factory import Factory


def test_log_tells_the_phases_and_what_git_build_and_push_said(factory: Factory) -> None:
    factory.builder.lines = ["STEP 1/1: FROM scratch", "\x1b[31mred\x1b[0m"]
    factory.runner()
    factory.report()

    log = factory.log()
    for expected in (
        f"CLONE: Commit {factory.sha}",
        "BUILD: STEP 1/1: FROM scratch",
        "BUILD: red",
        "PUSH: Pushed ",
        "DEPLOY: Done in",
        "VERIFY: Done in",
    ):
        assert expected in log
    times = [line["t"] for line in factory.lab.deploy.logs["job-1"]]
    assert times == sorted(times)


def test_passwords_are_on_no_command_line_in_no_environment_and_no_log(factory: Factory) -> None:
    factory.builder.lines = [f"someone prints {PUSH_SECRET} and {GIT_SECRET}"]
    factory.builder.is_slow = True
    runner = factory.runner()
    factory.lab.deploy.add(factory.job("job-1"))
    assert factory.builder.begun.wait(60)
    factory.registry.asked.clear()
    factory.registry.is_silent = True
    factory.builder.release.set()
    # While the registry keeps it waiting, the push is there to be seen.
    assert factory.registry.asked.wait(60)
    shown = runner.seen_by_others()
    factory.registry.is_silent = False
    factory.registry.release.set()
    while factory.lab.deploy.reported("job-1") is None:
        shown += runner.seen_by_others()
    report = factory.lab.report_of("job-1")
    runner.stop()
    kept = [p.read_bytes() for p in runner.state_dir.rglob("*") if p.is_file()]

    assert report["status"] == "SUCCEEDED", report
    assert "someone prints *** and ***" in factory.log()
    assert any("skopeo" in text for text in shown)
    for secret in (PUSH_SECRET, GIT_SECRET):
        assert not any(secret in text for text in shown)
        assert not any(secret.encode() in content for content in kept)
        assert secret not in json.dumps(factory.lab.deploy.logs) + json.dumps(report)


def test_deploy_without_logs_does_not_hold_jobs_up(factory: Factory) -> None:
    factory.lab.deploy.log_code = lambda _body: 404
    runner = factory.runner()

    assert factory.report()["status"] == "SUCCEEDED"
    assert len(factory.lab.deploy.log_calls) == 1
    assert runner.lines("log_not_taken") == []
    assert "PUSH: Pushed" in (runner.state_dir / "logs" / "job-1.1.log").read_text()


def test_many_lines_arrive_once_and_in_order(factory: Factory) -> None:
    count = 50_000
    factory.builder.lines = [f"line {n}" for n in range(count)]
    lost = iter(range(1_000_000))
    factory.lab.deploy.log_code = lambda _body: None if next(lost) % 7 == 3 else 200
    # The end of a job waits only so long for its lines: it comes when they have arrived.
    deploy, node = factory.lab.deploy, factory.lab.node
    node.agent = node.hold
    factory.runner(RUNNER_DEPLOY_TIMEOUT_SECONDS=120)
    deploy.add(factory.job("job-1"))
    arrived = deploy.wait_for(lambda: len(deploy.logs.get("job-1", ())) >= count, 120)
    node.release.set()

    assert arrived
    assert factory.lab.report_of("job-1")["status"] == "SUCCEEDED"
    told = [x["m"] for x in deploy.logs["job-1"] if x["m"].startswith("line ")]
    assert told == [f"line {n}" for n in range(count)]
