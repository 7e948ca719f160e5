"""The step that fetches, against a real git over HTTP: what it takes, what it refuses, what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.steps import fetch
from funai.runner.steps.built import context_file, read_source
from funai.runner.steps.step import Deadline, StepContext, StepError
from tests.integration.runner.git_server import GitServer, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {"Dockerfile": "FROM scratch\nCOPY . /app\n", "app/main.py": "print(1)\n"}
SECRET = "canary-git-password-0123"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "repositories") as server:
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return Repository(server.root / "demo")


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


def job(
    tmp_path: Path, server: GitServer, payload: dict[str, Any] | None = None, **more: Any
) -> Job:
    given = {"repoUrl": server.url("demo"), "commit": "main", **(payload or {})}
    return Job(tmp_path / "job", given, **more)


def test_branch_becomes_the_full_sha(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    sha = repository.commit(FILES)
    found = job(tmp_path, server)

    result = found.run()

    assert (result["commit"], result["commitRef"]) == (sha, "main")
    assert read_source(found.context).commit == sha
    assert found.content("app/main.py") == b"print(1)\n"
    assert {p.name for p in found.context.folder.iterdir()} == {
        "job.context.tar",
        "job.source.json",
    }


@pytest.mark.parametrize("ref", ["HEAD", "v1", "refs/heads/main", "annotated"])
def test_other_names_of_the_commit_are_taken(
    tmp_path: Path, server: GitServer, repository: Repository, ref: str
) -> None:
    sha = repository.commit(FILES)
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message", "m", "annotated")

    assert job(tmp_path, server, {"commit": ref}).run()["commit"] == sha


@pytest.mark.parametrize("length", [40, 12, 7])
def test_commit_that_is_no_tip_is_found_by_its_sha(
    tmp_path: Path, server: GitServer, repository: Repository, length: int
) -> None:
    old = repository.commit(FILES)
    repository.commit({"app/main.py": "print(2)\n"})
    found = job(tmp_path, server, {"commit": old[:length]})

    assert found.run()["commit"] == old
    assert found.content("app/main.py") == b"print(1)\n"


def test_context_is_only_the_chosen_folder(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "docker/Dockerfile.web": "FROM web\n"})
    payload = {"buildContext": "app", "dockerfilePath": "docker/Dockerfile.web"}
    found = job(tmp_path, server, payload)

    found.run()

    assert set(found.names()) == {"main.py", ".funai.dockerfile"}
    assert found.content(read_source(found.context).dockerfile) == b"FROM web\n"


def test_context_is_the_commit_and_not_what_its_attributes_make_of_it(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    attributes = "secret export-ignore\nversion export-subst\n"
    repository.commit(
        {**FILES, ".gitattributes": attributes, "secret": "x", "version": "$Format:%H$"}
    )
    found = job(tmp_path, server)

    found.run()

    assert found.content("secret") == b"x"
    assert found.content("version") == b"$Format:%H$"


def test_modes_are_plain_and_owners_are_root(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "run.sh": "#!/bin/sh\n", "name with\nline": "x"})
    (repository.path / "run.sh").chmod(0o755)
    repository.commit({})
    found = job(tmp_path, server)

    found.run()

    names = found.names()
    assert (names["run.sh"].mode, names["app/main.py"].mode) == (0o755, 0o644)
    assert {(m.uid, m.gid) for m in names.values()} == {(0, 0)}
    assert "name with\nline" in names


def test_links_that_stay_inside_are_kept(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    (repository.path / "app" / "again.py").symlink_to("../app/main.py")
    repository.commit({})
    found = job(tmp_path, server)

    found.run()

    assert found.names()["app/again.py"].linkname == "../app/main.py"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "up/../../x"])
def test_link_out_of_the_tree_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository, target: str
) -> None:
    repository.commit(FILES)
    (repository.path / "app" / "deep").mkdir()
    (repository.path / "app" / "up").symlink_to("..")
    (repository.path / "app" / "leak").symlink_to(target)
    repository.commit({})

    error = job(tmp_path, server).refused()

    assert error.reason == "CONTEXT_INVALID"
    assert "app/leak" in error.sentence


def test_linked_dockerfile_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({"app/main.py": "x"})
    (repository.path / "Dockerfile").symlink_to("/etc/shadow")
    repository.commit({})

    error = job(tmp_path, server).refused()

    assert error.reason == "DOCKERFILE_MISSING"
    assert "is a link, not a file" in error.sentence


def test_linked_context_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    (repository.path / "ctx").symlink_to("/etc")
    repository.commit({})

    error = job(tmp_path, server, {"buildContext": "ctx"}).refused()

    assert error.reason == "CONTEXT_INVALID"


def test_missing_dockerfile_says_where_there_is_one(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({"app/Dockerfile": "FROM scratch\n"})

    error = job(tmp_path, server).refused()

    assert error.reason == "DOCKERFILE_MISSING"
    assert "There is one at 'app/Dockerfile'" in error.sentence


def test_submodules_are_refused_with_a_way_out(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    sha = repository.commit(FILES)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{sha},vendor/lib")
    (repository.path / ".gitmodules").write_text(
        '[submodule "x"]\n\tpath = vendor/lib\n\turl = ext::sh -c touch% /tmp/fired\n'
    )
    repository.git("add", ".gitmodules")
    repository.git("commit", "--quiet", "--message", "submodule")

    error = job(tmp_path, server).refused()

    assert error.reason == "SUBMODULES_UNSUPPORTED"
    assert "'vendor/lib'" in error.sentence


def test_hooks_and_filters_of_a_repository_do_not_run(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    fired = tmp_path / "fired"
    repository.commit({**FILES, ".gitattributes": "* filter=evil\n"})
    repository.git("config", "filter.evil.smudge", f"touch {fired}")
    hook = repository.path / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {fired}\n")
    hook.chmod(0o755)

    job(tmp_path, server).run()

    assert not fired.exists()


@pytest.mark.parametrize("ref", ["nowhere", "0" * 40, "0" * 12])
def test_unknown_ref_is_named(
    tmp_path: Path, server: GitServer, repository: Repository, ref: str
) -> None:
    repository.commit(FILES)

    error = job(tmp_path, server, {"commit": ref}).refused()

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
    error = job(tmp_path, server, {field: value}).refused()

    assert error.reason == "JOB_INVALID"
    assert field in error.sentence
    assert server.requests == []


def test_server_that_is_away_is_named(tmp_path: Path, server: GitServer) -> None:
    error = job(tmp_path, server, {"repoUrl": "http://127.0.0.1:1/demo"}).refused()

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

    assert job(tmp_path, server).refused().reason == reason


def test_password_comes_from_the_file_and_is_shown_nowhere(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    sha = repository.commit(FILES)
    server.login = f"deployer:{SECRET}"
    credentials = tmp_path / "credentials.json"
    login = {"username": "deployer", "password": SECRET}
    credentials.write_text(json.dumps({f"127.0.0.1:{server.port}": login}))
    found = job(tmp_path, server, git_credentials_file=str(credentials))

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

    error = job(tmp_path, server, git_credentials_file=str(credentials)).refused()

    assert error.reason == "SOURCE_DENIED"
    assert SECRET not in error.text


def test_password_is_on_no_command_line_and_in_no_environment(
    tmp_path: Path, server: GitServer
) -> None:
    server.login, server.is_silent = f"deployer:{SECRET}", True
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"127.0.0.1": {"username": "deployer", "password": SECRET}}))
    found = job(tmp_path, server, git_credentials_file=str(credentials))
    found.context.job_file.write_text(json.dumps(found.context.record))
    process = run_apart(found)

    assert server.asked.wait(20)
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

    error = job(tmp_path, server).refused(seconds=1)

    assert error.reason == "FETCH_TIMEOUT"
    assert set(psutil.Process().children(recursive=True)) <= before


def test_git_dies_with_the_step_that_started_it(tmp_path: Path, server: GitServer) -> None:
    server.is_silent = True
    found = job(tmp_path, server)
    found.context.job_file.write_text(json.dumps(found.context.record))
    process = run_apart(found)
    assert server.asked.wait(20)
    family = psutil.Process(process.pid).children(recursive=True)
    names = [child.name() for child in family]

    process.kill()
    process.wait()

    assert "git-remote-http" in names
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


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

    error = job(tmp_path, server, source_max_mib=1).refused()

    assert error.reason == "SOURCE_TOO_LARGE"
    assert "larger than 1 MiB" in error.sentence


def test_context_beyond_the_limit_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "zeros.bin": bytes(3 * 1024 * 1024)})

    error = job(tmp_path, server, context_max_mib=2).refused()

    assert error.reason == "CONTEXT_TOO_LARGE"


def test_host_that_is_not_allowed_is_not_asked(tmp_path: Path, server: GitServer) -> None:
    error = job(tmp_path, server, git_allowed_hosts=("git.test",)).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "169.254.169.254"])
def test_runners_own_addresses_are_not_asked(tmp_path: Path, server: GitServer, host: str) -> None:
    url = f"http://{host}:{server.port}/demo"

    error = job(tmp_path, server, {"repoUrl": url}, git_allowed_hosts=()).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert server.requests == []


def test_plain_http_is_refused_unless_the_runner_allows_it(
    tmp_path: Path, server: GitServer
) -> None:
    error = job(tmp_path, server, git_allow_http=False).refused()

    assert error.reason == "JOB_INVALID"
    assert "http://" in error.sentence
