"""A runner process beside a stub Deploy and a stub node."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.integration.runner.factory import Factory
from tests.integration.runner.fake_builder import FakeBuilder
from tests.integration.runner.git_server import GitServer, Repository
from tests.integration.runner.registry import StubRegistry
from tests.integration.runner.stubs import StubDeploy, StubNode, StubServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[3]
BUNDLE = ROOT / "playbooks" / "jobs"
RUNNER_TOKEN = "canary-runner-token-0123456789"
RUNTIME_TOKEN = "canary-runtime-token-0123456789"
#: For what takes little where nobody else wants the machine.
PATIENCE_SECONDS = 20


def still_alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that do not end; one that only waits to be reaped has ended."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while (alive := [p for p in processes if _lives(p)]) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass
class RunnerProcess:
    """``funai-runner`` as a process of its own."""

    state_dir: Path
    log: Path
    process: subprocess.Popen[bytes]
    seen: list[psutil.Process] = field(default_factory=list)

    def lines(self, event: str) -> list[str]:
        return [x for x in self.log.read_text().splitlines() if x.startswith(f"event={event} ")]

    def family(self) -> list[psutil.Process]:
        """All descendants, noted so that a test can ask later whether they are gone."""
        self.seen = psutil.Process(self.process.pid).children(recursive=True)
        return self.seen

    def workers(self) -> list[psutil.Process]:
        """Of the descendants those that work on jobs; one that ends meanwhile is left out."""
        found = []
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                # The zygote's children have its command line.
                is_child = process.ppid() == self.process.pid
                if not (is_child and "zygote" in " ".join(process.cmdline())):
                    found.append(process)
        return found

    def seen_by_others(self) -> list[str]:
        """Return what everybody on the host can read of the descendants."""
        shown: list[str] = []
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                shown += [*process.cmdline(), *process.environ().values()]
        return shown

    def orphans(self) -> list[psutil.Process]:
        """Those of the last ``family`` that still live after a while."""
        return still_alive(self.seen)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


class Lab:
    """The stubs, and runners that talk to them."""

    def __init__(self, tmp_path: Path, deploy: StubDeploy, node: StubNode) -> None:
        self.tmp_path = tmp_path
        self.deploy = deploy
        self.node = node
        self.deploy_url = ""
        self.node_url = ""
        self.runners: list[RunnerProcess] = []

    def runner(self, name: str = "runner-1", **settings: object) -> RunnerProcess:
        """Start a runner; a second one of a name continues with the first one's state."""
        state_dir = self.tmp_path / name
        env = {
            "PATH": os.environ["PATH"],
            "RUNNER_ID": name,
            "RUNNER_DEPLOY_URL": self.deploy_url,
            "RUNNER_TOKEN": RUNNER_TOKEN,
            "RUNNER_RUNTIME_TOKEN": RUNTIME_TOKEN,
            "RUNNER_STATE_DIR": str(state_dir),
            "RUNNER_BUNDLE_DIR": str(BUNDLE),
            "RUNNER_LEASE_SECONDS": "30",
            "RUNNER_WAIT_SECONDS": "1",
            "RUNNER_DEPLOY_TIMEOUT_SECONDS": "30",
            "RUNNER_VERIFY_TIMEOUT_SECONDS": "30",
            **{key: str(value) for key, value in settings.items()},
        }
        log = self.tmp_path / f"{name}-{len(self.runners)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "funai.runner"],
                env=env,
                stdout=stream,
                stderr=stream,
                cwd=self.tmp_path,
            )
        runner = RunnerProcess(state_dir, log, process)
        self.runners.append(runner)
        return runner

    def job(self, job_id: str, *, fence: int = 1, **payload: object) -> dict[str, Any]:
        """Render a job as a claim's answer carries it."""
        fields = {"appId": "app-1", "userId": "7", "image": "registry.test/demo:1", **payload}
        node = {
            "id": {"value": 1},
            "name": "runtime-01",
            "agentBaseUrl": self.node_url,
            "gatewayBaseUrl": self.node_url,
        }
        return {
            "id": job_id,
            "type": "BUILD_AND_DEPLOY",
            "status": "RUNNING",
            "fence": fence,
            "attempt": 1,
            "payload": fields,
            "runtimeNode": node,
            "deployUrl": f"{self.node_url}/apps/{fields['appId']}/",
        }

    def report_of(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the report on a job."""
        found = self.deploy.wait_for(lambda: self.deploy.reported(job_id) is not None, seconds)
        logs = "\n".join(runner.log.read_text() for runner in self.runners)
        assert found, f"no report on {job_id}; the runners said:\n{logs}"
        report = self.deploy.reported(job_id)
        assert report is not None
        return report


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    deploy, node = StubDeploy(), StubNode()
    lab = Lab(tmp_path, deploy, node)
    with StubServer(deploy.reply) as deploy_server, StubServer(node.reply) as node_server:
        lab.deploy_url, lab.node_url = deploy_server.url, node_server.url
        try:
            yield lab
        finally:
            for runner in lab.runners:
                if runner.process.poll() is None:
                    runner.process.send_signal(signal.SIGCONT)
                runner.stop(signal.SIGKILL)
            node.release.set()
            deploy.closed.set()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "repositories") as server:
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return Repository(server.root / "demo")


@pytest.fixture
def factory(lab: Lab) -> Iterator[Factory]:
    with (
        GitServer(lab.tmp_path / "repositories") as git,
        FakeBuilder(lab.tmp_path) as builder,
        StubRegistry() as registry,
    ):
        yield Factory(lab, git, builder, registry)
