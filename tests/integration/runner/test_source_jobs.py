"""Jobs from a commit to a revision: a real git and skopeo, a builder and a registry that can fail."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from funai.builder.model import BuildResult
from tests.integration.runner.conftest import still_alive
from tests.integration.runner.fake_builder import FakeBuilder
from tests.integration.runner.git_server import GitServer, Repository
from tests.integration.runner.registry import StubRegistry
from tests.integration.runner.test_faults import SHORT_LEASE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.runner.conftest import Lab, RunnerProcess

FILES = {"Dockerfile": "FROM scratch\nCOPY . /app\n", "main.py": "print(1)\n"}
PUSH_SECRET, GIT_SECRET = "canary-push-password-01", "canary-git-password-01"
PHASES = ["VALIDATE", "CLONE", "BUILD", "PUSH", "DEPLOY", "VERIFY"]
NAME = "funai/u7-appapp-1"


class Factory:
    """Everything that a job with a source needs beside a Deploy and a node."""

    def __init__(
        self, lab: Lab, git: GitServer, builder: FakeBuilder, registry: StubRegistry
    ) -> None:
        self.lab = lab
        self.git = git
        self.builder = builder
        self.registry = registry
        self.repository = Repository(git.root / "demo")
        self.sha = self.repository.commit(FILES)
        self._auth = lab.tmp_path / "auth.json"
        self._credentials = lab.tmp_path / "git.json"
        registry.login, git.login = f"pusher:{PUSH_SECRET}", f"reader:{GIT_SECRET}"
        encoded = base64.b64encode(registry.login.encode()).decode()
        self._auth.write_text(json.dumps({"auths": {registry.host: {"auth": encoded}}}))
        login = {"username": "reader", "password": GIT_SECRET}
        self._credentials.write_text(json.dumps({"127.0.0.1": login}))

    def runner(self, name: str = "runner-1", **more: Any) -> RunnerProcess:
        settings = {
            "RUNNER_REGISTRY": self.registry.host,
            "RUNNER_REGISTRY_AUTH_FILE": self._auth,
            "RUNNER_REGISTRY_TLS_VERIFY": "false",
            "RUNNER_GIT_ALLOWED_HOSTS": "127.0.0.1",
            "RUNNER_GIT_ALLOW_HTTP": "true",
            "RUNNER_GIT_CREDENTIALS_FILE": self._credentials,
            "RUNNER_ARCHIVE_ALLOWED_HOSTS": "127.0.0.1",
            "RUNNER_BUILDER_SOCKET": self.builder.path,
        }
        return self.lab.runner(name, **{**settings, **more})

    def job(self, job_id: str, **payload: Any) -> dict[str, Any]:
        source = {"image": None, "repoUrl": self.git.url("demo"), "commit": "main"}
        return {**self.lab.job(job_id, **{**source, **payload}), "revision": 5}

    def report(self, job_id: str = "job-1", **payload: Any) -> dict[str, Any]:
        self.lab.deploy.add(self.job(job_id, **payload))
        return self.lab.report_of(job_id, 60)

    def log(self, job_id: str = "job-1") -> str:
        return self.lab.deploy.text_of(job_id)


@pytest.fixture
def factory(lab: Lab) -> Iterator[Factory]:
    with (
        GitServer(lab.tmp_path / "repositories") as git,
        FakeBuilder(lab.tmp_path) as builder,
        StubRegistry() as registry,
    ):
        yield Factory(lab, git, builder, registry)


def phases(report: dict[str, Any]) -> list[str]:
    return [entry["phase"] for entry in report["result"]["phases"]]


def failed_in(report: dict[str, Any]) -> str:
    assert report["status"] == "FAILED", report
    return str(next(e["phase"] for e in report["result"]["phases"] if e.get("reason")))


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


def test_runner_without_a_registry_says_what_to_send_instead(factory: Factory) -> None:
    factory.runner(RUNNER_REGISTRY="")

    report = factory.report()

    assert (failed_in(report), report["reason"]) == ("VALIDATE", "BUILD_NOT_CONFIGURED")
    assert "payload.image" in report["errorMessage"]


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
