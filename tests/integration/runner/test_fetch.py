"""The step that fetches, against a real git over HTTP: what it takes and what the context holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from funai.runner.steps.built import read_source
from tests.integration.runner.fetch_job import FILES, git_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.runner.git_server import GitServer, Repository


def test_branch_becomes_the_full_sha(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    sha = repository.commit(FILES)
    found = git_job(tmp_path, server)

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

    assert git_job(tmp_path, server, {"commit": ref}).run()["commit"] == sha


@pytest.mark.parametrize("length", [40, 12, 7])
def test_commit_that_is_no_tip_is_found_by_its_sha(
    tmp_path: Path, server: GitServer, repository: Repository, length: int
) -> None:
    old = repository.commit(FILES)
    repository.commit({"app/main.py": "print(2)\n"})
    found = git_job(tmp_path, server, {"commit": old[:length]})

    assert found.run()["commit"] == old
    assert found.content("app/main.py") == b"print(1)\n"


def test_context_is_only_the_chosen_folder(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "docker/Dockerfile.web": "FROM web\n"})
    payload = {"buildContext": "app", "dockerfilePath": "docker/Dockerfile.web"}
    found = git_job(tmp_path, server, payload)

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
    found = git_job(tmp_path, server)

    found.run()

    assert found.content("secret") == b"x"
    assert found.content("version") == b"$Format:%H$"


def test_modes_are_plain_and_owners_are_root(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({**FILES, "run.sh": "#!/bin/sh\n", "name with\nline": "x"})
    (repository.path / "run.sh").chmod(0o755)
    repository.commit({})
    found = git_job(tmp_path, server)

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
    found = git_job(tmp_path, server)

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

    error = git_job(tmp_path, server).refused()

    assert error.reason == "CONTEXT_INVALID"
    assert "app/leak" in error.sentence


def test_linked_dockerfile_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({"app/main.py": "x"})
    (repository.path / "Dockerfile").symlink_to("/etc/shadow")
    repository.commit({})

    error = git_job(tmp_path, server).refused()

    assert error.reason == "DOCKERFILE_MISSING"
    assert "is a link, not a file" in error.sentence


def test_linked_context_is_refused(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    (repository.path / "ctx").symlink_to("/etc")
    repository.commit({})

    error = git_job(tmp_path, server, {"buildContext": "ctx"}).refused()

    assert error.reason == "CONTEXT_INVALID"


def test_missing_dockerfile_says_where_there_is_one(
    tmp_path: Path, server: GitServer, repository: Repository
) -> None:
    repository.commit({"app/Dockerfile": "FROM scratch\n"})

    error = git_job(tmp_path, server).refused()

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

    error = git_job(tmp_path, server).refused()

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

    git_job(tmp_path, server).run()

    assert not fired.exists()
