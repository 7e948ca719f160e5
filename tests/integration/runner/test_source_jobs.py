"""Jobs from a commit to a revision: a real git and skopeo, a builder and a registry that can fail."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from funai.builder.model import BuildResult
from tests.integration.runner.conftest import still_alive
from tests.integration.runner.factory import NAME, PHASES, failed_in, phases
from tests.integration.runner.test_faults import SHORT_LEASE_SECONDS, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.runner.factory import Factory


@pytest.mark.parametrize("execution", ["forked", "cold"])
def test_commit_becomes_a_running_image(factory: Factory, execution: str) -> None:
    runner = factory.runner(RUNNER_EXECUTION=execution)

    report = factory.report(buildArgs={"A": "1"}, healthPath="/health")

    assert report["status"] == "SUCCEEDED", report
    digest = factory.registry.digest(NAME, factory.sha[:12])
    result = report["result"]
    assert phases(report) == PHASES
    assert not any(entry.get("skipped") for entry in result["phases"])
    assert {
        name: result[name] for name in ("commit", "commitRef", "sourceKind", "imageDigest")
    } == {
        "commit": factory.sha,
        "commitRef": "main",
        "sourceKind": "git",
        "imageDigest": digest,
    }
    assert result["imageRepository"] == f"{factory.registry.host}/{NAME}"
    assert result["image"] == f"{factory.registry.host}/{NAME}:{factory.sha[:12]}"
    assert (result["built"], result["reused"]) == (True, False)
    assert result["release"] == f"r5-{factory.sha[:12]}"
    sent = factory.lab.node.deploys[0]
    assert sent["image"] == f"{factory.registry.host}/{NAME}@{digest}"
    assert (sent["release"], sent["healthPath"]) == (result["release"], "/health")
    assert result["verifiedUrl"].endswith("/apps/app-1/health")
    assert factory.builder.requests[0]["buildArgs"] == {"A": "1"}
    assert factory.builder.contexts[0]["main.py"] == b"print(1)\n"
    assert wait_until(lambda: list((runner.state_dir / "jobs").iterdir()) == [])


def test_image_says_where_it_comes_from(factory: Factory) -> None:
    factory.runner()
    factory.report()

    labels = factory.registry.labels(NAME, factory.sha[:12])
    assert labels["io.funai.commit"] == factory.sha
    assert labels["org.opencontainers.image.revision"] == factory.sha
    assert labels["io.funai.job"] == "job-1"
    assert labels["io.funai.builder"] == "runner-1"
    assert labels["io.funai.repo"] == factory.git.url("demo")
    assert labels["io.funai.created"].startswith("20")


def test_same_commit_is_not_built_twice_unless_asked(factory: Factory) -> None:
    factory.runner()
    first = factory.report("job-1")
    second = factory.report("job-2")
    third = factory.report("job-3", rebuild=True)
    fourth = factory.report("job-4", buildArgs={"A": "2"})

    assert [r["result"]["reused"] for r in (first, second, third, fourth)] == [
        False,
        True,
        False,
        False,
    ]
    assert second["result"]["imageDigest"] == first["result"]["imageDigest"]
    assert second["result"]["built"] is False
    skipped = [e["phase"] for e in second["result"]["phases"] if e.get("skipped")]
    assert skipped == ["BUILD", "PUSH"]
    assert [request["noCache"] for request in factory.builder.requests] == [False, True, False]


def test_image_of_another_app_under_the_same_name_is_not_taken(factory: Factory) -> None:
    factory.runner()
    name = {"imageRepo": f"{factory.registry.host}/team/app"}
    factory.report("job-1", **name)
    other = factory.report("job-2", appId="app-2", **name)

    assert other["result"]["reused"] is False


def test_archive_is_built_too(factory: Factory, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("export/Dockerfile")
        info.size = 13
        tar.addfile(info, io.BytesIO(b"FROM scratch\n"))
    content = archive.getvalue()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.tar.gz").write_bytes(content)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    factory.runner()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/a.tar.gz?signature=canary-signature"
        sha256 = hashlib.sha256(content).hexdigest()
        source = {"repoUrl": None, "commit": None, "source": "archive", "archiveUrl": url}
        good = factory.report("job-1", **source, sha256=sha256)
        bad = factory.report("job-2", **source, sha256="0" * 64)
        server.shutdown()

    assert good["status"] == "SUCCEEDED", good
    assert good["result"]["imageTag"] == sha256[:12]
    assert good["result"]["sourceKind"] == "archive"
    assert (failed_in(bad), bad["reason"]) == ("CLONE", "ARCHIVE_CHECKSUM")
    assert "canary-signature" not in json.dumps([good, bad]) + factory.log("job-1")


@pytest.mark.parametrize("reason", ["BUILD_FAILED", "BUILD_OUT_OF_MEMORY", "BASE_IMAGE_NOT_FOUND"])
def test_build_that_fails_shows_its_last_lines(factory: Factory, reason: str) -> None:
    factory.builder.lines = [f"line {n}" for n in range(100)]
    factory.builder.result = BuildResult(ok=False, reason=reason, message="the RUN ended with 1")
    factory.runner()

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("BUILD", reason)
    assert "the RUN ended with 1" in report["errorMessage"]
    assert report["errorMessage"].endswith("line 99")
    assert factory.registry.pushes == 0
    assert factory.lab.node.deploys == []


def test_missing_builder_is_the_operators_business(factory: Factory, tmp_path: Path) -> None:
    factory.runner(RUNNER_BUILDER_SOCKET=tmp_path / "nothing.sock")

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("BUILD", "BUILDER_UNAVAILABLE")


def test_registry_that_refuses_is_named_and_nothing_is_deployed(factory: Factory) -> None:
    factory.registry.login = "pusher:another"
    factory.runner()

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("PUSH", "REGISTRY_DENIED")
    assert factory.registry.host in report["errorMessage"]
    assert factory.lab.node.deploys == []
    assert report["result"]["commit"] == factory.sha


def test_registry_that_breaks_is_tried_again_and_then_named(factory: Factory) -> None:
    factory.registry.instead = 500
    factory.runner()

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("PUSH", "REGISTRY_UNAVAILABLE")
    assert factory.log().count("PUSH: Pushing ") == 3


def test_registry_that_is_silent_ends_at_the_deadline_and_the_next_job_runs(
    factory: Factory,
) -> None:
    # The next job's push has to fit as well.
    runner = factory.runner(RUNNER_PUSH_TIMEOUT_SECONDS=10, RUNNER_PARALLEL_JOBS=1)
    factory.builder.is_slow = True
    factory.lab.deploy.add(factory.job("job-1"))
    assert factory.builder.begun.wait(60)
    factory.registry.is_silent = True
    factory.builder.release.set()

    report = factory.lab.report_of("job-1", 60)
    skopeo = [p for p in runner.family() if p.name() == "skopeo"]
    factory.registry.is_silent = False
    factory.registry.release.set()

    assert (failed_in(report), report["reason"]) == ("PUSH", "PUSH_TIMEOUT")
    assert skopeo == []
    assert factory.report("job-2")["status"] == "SUCCEEDED"


def test_failure_after_the_push_names_the_image_that_is_left(factory: Factory) -> None:
    factory.lab.node.agent = lambda _body: (500, {"detail": "x", "reason": "NEVER_READY"})
    factory.runner()

    report = factory.report()

    assert failed_in(report) == "DEPLOY"
    assert report["result"]["built"] is True
    assert report["result"]["imageDigest"] == factory.registry.digest(NAME, factory.sha[:12])


def test_deploy_knows_the_image_before_the_node_is_asked_to_run_it(factory: Factory) -> None:
    factory.lab.deploy.heartbeat_codes = lambda _job, body: (
        409 if body.get("phase") == "DEPLOY" else 200
    )
    runner = factory.runner()

    factory.lab.deploy.add(factory.job("job-1"))

    assert wait_until(lambda: runner.lines("left_to_lease"))
    assert factory.lab.node.deploys == []
    named = [body for _, body in factory.lab.deploy.heartbeats if "result" in body]
    assert named[0]["phase"] == "DEPLOY"
    # Once more when the runner gives the job up.
    assert [body.get("phase") for body in named[1:]] == [None]
    for body in named:
        result = body["result"]
        assert result["imageDigest"] == factory.registry.digest(NAME, factory.sha[:12])
        assert (result["built"], result["imageTag"]) == (True, factory.sha[:12])


def test_job_that_lost_its_lease_pushes_nothing(factory: Factory) -> None:
    factory.lab.deploy.heartbeat_codes = lambda _job, body: (
        409 if body.get("phase") == "PUSH" else 200
    )
    runner = factory.runner()

    factory.lab.deploy.add(factory.job("job-1"))

    assert wait_until(lambda: runner.lines("left_to_lease"))
    assert factory.registry.pushes == 0
    assert factory.lab.node.deploys == []


@pytest.mark.parametrize("where", ["git", "build", "push", "wait"])
def test_cancelled_job_leaves_no_process_and_no_file(factory: Factory, where: str) -> None:
    factory.git.is_silent = where == "git"
    factory.builder.is_slow = where in {"build", "push", "wait"}
    runner = factory.runner(RUNNER_LEASE_SECONDS=SHORT_LEASE_SECONDS)
    factory.lab.deploy.add(factory.job("job-1"))
    begun = factory.git.asked if where == "git" else factory.builder.begun
    assert begun.wait(60)
    if where in {"push", "wait"}:
        factory.registry.asked.clear()
        factory.registry.is_silent, factory.registry.instead = where == "push", 503
        factory.builder.release.set()
        assert factory.registry.asked.wait(30)
        assert where == "push" or wait_until(lambda: "Waiting for it" in factory.log())
    family = runner.workers()

    factory.lab.deploy.heartbeat_codes = lambda _job, _body: 409
    assert wait_until(lambda: runner.lines("left_to_lease"))

    assert still_alive(family) == []
    assert list((runner.state_dir / "jobs").iterdir()) == []
    assert factory.lab.deploy.reports == []
    if where == "build":
        assert factory.builder.abandoned.wait(20)


def test_runner_without_a_registry_says_what_to_send_instead(factory: Factory) -> None:
    factory.runner(RUNNER_REGISTRY="")

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("VALIDATE", "BUILD_NOT_CONFIGURED")
    assert "payload.image" in report["errorMessage"]
