"""What jobs with a source need: a git server, a builder and a registry that can fail."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.integration.runner.git_server import GitServer, Repository

if TYPE_CHECKING:
    from tests.integration.runner.conftest import Lab, RunnerProcess
    from tests.integration.runner.fake_builder import FakeBuilder
    from tests.integration.runner.registry import StubRegistry

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


def phases(report: dict[str, Any]) -> list[str]:
    return [entry["phase"] for entry in report["result"]["phases"]]


def failed_in(report: dict[str, Any]) -> str:
    assert report["status"] == "FAILED", report
    return str(next(e["phase"] for e in report["result"]["phases"] if e.get("reason")))
