"""A job file, and what the step that fetches makes of it."""

from __future__ import annotations

import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.steps import fetch
from funai.runner.steps.built import context_file
from funai.runner.steps.step import Deadline, StepContext, StepError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.runner.git_server import GitServer

FILES = {"Dockerfile": "FROM scratch\nCOPY . /app\n", "app/main.py": "print(1)\n"}


class Job:
    """A job file and what the step makes of it."""

    def __init__(self, folder: Path, payload: dict[str, Any], **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        usual: dict[str, Any] = {
            "registry": "registry.test",
            "git_allow_http": True,
            "git_allowed_hosts": ("127.0.0.1",),
        }
        node = {"agentBaseUrl": "http://node.test:7005", "gatewayBaseUrl": "http://node.test"}
        record = {
            "jobId": "job-1",
            "fence": 1,
            "payload": {"appId": "app-1", "userId": "7", **payload},
            "runtimeNode": node,
            "build": BuildSettings(**{**usual, **settings}).to_json(),
        }
        self.lines: list[str] = []
        self.context = StepContext(
            folder / "job.json",
            record,
            time.monotonic,
            time.sleep,
            lambda _name: "",
            self.lines.append,
        )

    def run(self, seconds: float = 30) -> dict[str, Any]:
        return fetch.run(self.context, Deadline(seconds, time.monotonic)).result

    def refused(self, seconds: float = 30) -> StepError:
        with pytest.raises(StepError) as caught:
            self.run(seconds)
        left = {path.name for path in self.context.folder.iterdir()}
        assert left <= {"job.json", "credentials.json"}, "the disk is not as before"
        return caught.value

    def names(self) -> dict[str, tarfile.TarInfo]:
        with tarfile.open(context_file(self.context)) as tar:
            return {member.name: member for member in tar}

    def content(self, name: str) -> bytes:
        with tarfile.open(context_file(self.context)) as tar:
            content = tar.extractfile(name)
            assert content is not None
            return content.read()


def git_job(
    tmp_path: Path, server: GitServer, payload: dict[str, Any] | None = None, **more: Any
) -> Job:
    given = {"repoUrl": server.url("demo"), "commit": "main", **(payload or {})}
    return Job(tmp_path / "job", given, **more)
