"""What the step that fetches refuses, and how a fetch that fails is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from funai.runner.source import hosts
from tests.integration.runner.conftest import still_alive
from tests.integration.runner.fetch_job import FILES, Job, git_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.runner.git_server import GitServer, Repository

SECRET = "canary-git-password-0123"


@pytest.mark.parametrize("ref", ["nowhere", "0" * 40, "0" * 12])
def test_unknown_ref_is_named(
    tmp_path: Path, server: GitServer, repository: Repository, ref: str
) -> None:
    repository.commit(FILES)

    error = git_job(tmp_path, server, {"commit": ref}).refused()

    assert error.reason == "REF_NOT_FOUND"
    assert f"has no {ref}" in error.sentence
    assert error.evidence


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repoUrl", "ext::sh -c touch% /tmp/fired"),
        ("repoUrl", "file:///etc"),
        ("repoUrl", "/etc"),
        ("repoUrl", "--upload-pack=touch /tmp/fired"),
        ("repoUrl", "git://127.0.0.1/x"),
        ("repoUrl", "ssh://-oProxyCommand=touch/x"),
        ("repoUrl", "https://user:pw@127.0.0.1/x"),
        ("commit", "--upload-pack=touch /tmp/fired"),
        ("commit", "main:refs/heads/x"),
        ("commit", "a..b"),
        ("dockerfilePath", "../../etc/passwd"),
        ("dockerfilePath", "/etc/passwd"),
        ("buildContext", "../.."),
        ("buildContext", "-v"),
    ],
)
def test_values_that_are_no_names_are_refused_before_git_starts(
    tmp_path: Path, server: GitServer, field: str, value: str
) -> None:
    error = git_job(tmp_path, server, {field: value}).refused()

    assert error.reason == "JOB_INVALID"
    assert field in error.sentence
    assert server.requests == []


def test_server_that_is_away_is_named(tmp_path: Path, server: GitServer) -> None:
    error = git_job(tmp_path, server, {"repoUrl": "http://127.0.0.1:1/demo"}).refused()

    assert error.reason == "SOURCE_UNREACHABLE"
    assert "127.0.0.1" in error.sentence
    assert "127.0.0.1 port 1" in error.evidence


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "SOURCE_DENIED"),
        (403, "SOURCE_DENIED"),
        (404, "SOURCE_NOT_FOUND"),
        (500, "SOURCE_UNREACHABLE"),
        (301, "SOURCE_MOVED"),
    ],
)
def test_answers_that_are_no_repository_have_reasons(
    tmp_path: Path, server: GitServer, status: int, reason: str
) -> None:
    server.instead = (
        status,
        {"Location": "http://169.254.169.254/latest"} if status == 301 else {},
    )

    assert git_job(tmp_path, server).refused().reason == reason


def test_password_comes_from_the_file_and_is_shown_nowhere(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    sha = repository.commit(FILES)
    server.login = f"deployer:{SECRET}"
    credentials = tmp_path / "credentials.json"
    login = {"username": "deployer", "password": SECRET}
    credentials.write_text(json.dumps({f"127.0.0.1:{server.port}": login}))
    found = git_job(tmp_path, server, git_credentials_file=str(credentials))

    assert found.run()["commit"] == sha
    kept = [path.read_bytes() for path in found.context.folder.iterdir()]
    assert not any(SECRET.encode() in content for content in kept)
    assert SECRET not in "\n".join(found.lines)


def test_wrong_password_is_denied_without_showing_it(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    server.login = "deployer:another"
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"127.0.0.1": {"username": "deployer", "password": SECRET}}))

    error = git_job(tmp_path, server, git_credentials_file=str(credentials)).refused()

    assert error.reason == "SOURCE_DENIED"
    assert SECRET not in error.text


def test_password_is_on_no_command_line_and_in_no_environment(
    tmp_path: Path, server: GitServer
) -> None:
    server.login, server.is_silent = f"deployer:{SECRET}", True
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"127.0.0.1": {"username": "deployer", "password": SECRET}}))
    found = git_job(tmp_path, server, git_credentials_file=str(credentials))
    found.context.job_file.write_text(json.dumps(found.context.record))
    process = run_apart(found)

    assert server.asked.wait(60)
    shown = []
    for child in psutil.Process(process.pid).children(recursive=True):
        shown += [*child.cmdline(), *child.environ().values()]
    process.kill()
    process.wait()

    assert any("git" in text for text in shown)
    assert not any(SECRET in text for text in shown)


def test_silent_server_ends_at_the_deadline_and_leaves_no_process(
    tmp_path: Path, server: GitServer
) -> None:
    server.is_silent = True
    before = set(psutil.Process().children(recursive=True))

    error = git_job(tmp_path, server).refused(seconds=1)

    assert error.reason == "FETCH_TIMEOUT"
    assert set(psutil.Process().children(recursive=True)) <= before


def test_git_dies_with_the_step_that_started_it(tmp_path: Path, server: GitServer) -> None:
    server.is_silent = True
    found = git_job(tmp_path, server)
    found.context.job_file.write_text(json.dumps(found.context.record))
    process = run_apart(found)
    assert server.asked.wait(60)
    family = psutil.Process(process.pid).children(recursive=True)
    names = [child.name() for child in family]

    process.kill()
    process.wait()

    assert "git-remote-http" in names
    assert still_alive(family) == []


def run_apart(found: Job) -> subprocess.Popen[bytes]:
    program = (
        "import json, sys, time; from pathlib import Path\n"
        "from funai.runner.steps import fetch\n"
        "from funai.runner.steps.step import Deadline, StepContext\n"
        "path = Path(sys.argv[1])\n"
        "context = StepContext(path, json.loads(path.read_text()), time.monotonic, time.sleep, str)\n"
        "fetch.run(context, Deadline(60, time.monotonic))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(found.context.job_file)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL,
    )


def test_repository_beyond_the_limit_is_stopped(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "large.bin": os.urandom(30 * 1024 * 1024)})

    error = git_job(tmp_path, server, source_max_mib=1).refused()

    assert error.reason == "SOURCE_TOO_LARGE"
    assert "larger than 1 MiB" in error.sentence


def test_context_beyond_the_limit_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "zeros.bin": bytes(3 * 1024 * 1024)})

    error = git_job(tmp_path, server, context_max_mib=2).refused()

    assert error.reason == "CONTEXT_TOO_LARGE"


def test_host_that_is_not_allowed_is_not_asked(tmp_path: Path, server: GitServer) -> None:
    error = git_job(tmp_path, server, git_allowed_hosts=("git.test",)).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "169.254.169.254"])
def test_runners_own_addresses_are_not_asked(tmp_path: Path, server: GitServer, host: str) -> None:
    url = f"http://{host}:{server.port}/demo"

    error = git_job(tmp_path, server, {"repoUrl": url}, git_allowed_hosts=()).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert server.requests == []


def test_denied_address_is_not_asked(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_addresses", lambda *_: ["198.18.138.101"])
    denied = ("198.18.138.0/24",)

    error = git_job(tmp_path, server, git_allowed_hosts=(), fetch_denied_addresses=denied).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert "RUNNER_FETCH_DENIED_ADDRESSES" in error.sentence


def test_plain_http_is_refused_unless_the_runner_allows_it(
    tmp_path: Path, server: GitServer
) -> None:
    error = git_job(tmp_path, server, git_allow_http=False).refused()

    assert error.reason == "JOB_INVALID"
    assert "http://" in error.sentence
