"""``library/service_environment.py`` on real folders and archives, with the tools played."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import service_environment
from ansible.module_utils.testing import patch_module_args

OWN = "wheels/funai_services-0.1.0-py3-none-any.whl"


class Tools:
    """Plays ``python`` and ``pip``: records what was run and makes the folder of a venv."""

    def __init__(self, failing: str = "", says: str = "") -> None:
        self.runs: list[list[str]] = []
        self.failing = failing
        self.says = says

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        self.runs.append(argv)
        if self.failing and self.failing in argv:
            return 1, self.says
        if argv[1:3] == ["-m", "venv"]:
            (Path(argv[3]) / "bin").mkdir(parents=True)
        return 0, ""


def write_archive(path: Path, *names: str, content: bytes = b"x") -> Path:
    with tarfile.open(path, "w") as archive:
        for name in names or ("requirements.txt", OWN):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def options(home: Path, archive: Path, **given: Any) -> dict[str, Any]:
    defaults = {"python": "python3", "own_package": "funai_services", "archive_changes": False}
    return {"path": str(home), "archive": str(archive), **defaults, **given}


def test_first_installation_builds_and_switches(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    tools = Tools()

    result = service_environment.converge(options(home, archive), tools, check_mode=False)

    assert result["changed"]
    assert result["installed"]
    assert (home / "venv").is_symlink()
    assert len(tools.runs) == 4
    lock = next(argv for argv in tools.runs if "--require-hashes" in argv)
    assert {"--no-index", "--no-deps"} <= set(lock)
    assert not list(home.glob(".build-*"))


def test_second_run_changes_nothing_and_runs_nothing(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)
    tools = Tools()

    result = service_environment.converge(options(home, archive), tools, check_mode=False)

    assert not result["changed"]
    assert tools.runs == []
    assert result["diff"]["before"] == result["diff"]["after"]


def test_new_archive_keeps_the_environment_before_and_no_older(home: Path, tmp_path: Path) -> None:
    seen = []
    for number in range(3):
        archive = write_archive(tmp_path / "a.tar", content=bytes([number]))
        service_environment.converge(options(home, archive), Tools(), check_mode=False)
        seen.append((home / "venv").readlink())

    kept = {path.name for path in home.glob("venv-*")}

    assert kept == {str(seen[1]), str(seen[2])}


def test_earlier_archive_is_back_without_a_build(home: Path, tmp_path: Path) -> None:
    first = write_archive(tmp_path / "1.tar", content=b"1")
    second = write_archive(tmp_path / "2.tar", content=b"2")
    for archive in (first, second):
        service_environment.converge(options(home, archive), Tools(), check_mode=False)
    tools = Tools()

    result = service_environment.converge(options(home, first), tools, check_mode=False)

    assert result["changed"]
    assert tools.runs == []


def test_other_python_needs_another_environment(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)

    result = service_environment.converge(
        options(home, archive, python="/usr/bin/python3.99"), Tools(), check_mode=False
    )

    assert result["changed"]


def test_bundle_is_switched_with_the_code(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", "requirements.txt", OWN, "bundle/play.yml")

    service_environment.converge(options(home, archive), Tools(), check_mode=False)

    assert (home / "bundle/play.yml").is_file()
    assert (home / "bundle").readlink() == Path("venv/bundle")


def test_check_mode_predicts_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    tools = Tools()

    predicted = service_environment.converge(options(home, archive), tools, check_mode=True)
    bare = service_environment.converge(
        options(home / "none", tmp_path / "none.tar"), tools, check_mode=True
    )

    assert predicted["changed"]
    assert bare["changed"]
    assert not bare["installed"]
    assert bare["archive_sha256"] is None
    assert tools.runs == []
    assert list(home.iterdir()) == []


def test_check_mode_predicts_from_an_archive_that_is_yet_to_be_copied(
    home: Path, tmp_path: Path
) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)
    tools = Tools()

    predicted = service_environment.converge(
        options(home, archive, archive_changes=True), tools, check_mode=True
    )

    assert predicted["changed"]
    assert predicted["installed"]
    assert not predicted["current"]
    assert predicted["archive_sha256"] is None
    assert predicted["diff"]["before"] != predicted["diff"]["after"]
    assert tools.runs == []


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_is_in_use_is_current_unless_a_check_would_replace_it(
    home: Path, tmp_path: Path, *, check_mode: bool
) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)

    same = service_environment.converge(options(home, archive), Tools(), check_mode=check_mode)
    newer = write_archive(tmp_path / "b.tar", content=b"new")
    other = service_environment.converge(options(home, newer), Tools(), check_mode=check_mode)

    assert same["current"]
    assert other["current"] is not check_mode


def test_run_compares_the_archive_itself_whatever_the_copy_says(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)

    result = service_environment.converge(
        options(home, archive, archive_changes=True), Tools(), check_mode=False
    )

    assert not result["changed"]
    assert result["current"]


@pytest.mark.parametrize(
    ("failing", "says", "advice"),
    [
        pytest.param("venv", "ensurepip is not available", "python3-venv", id="no-venv"),
        pytest.param(
            "--require-hashes", "THESE PACKAGES DO NOT MATCH THE HASHES", "the lock", id="hash"
        ),
        pytest.param(
            "--require-hashes",
            "ERROR: No matching distribution found for pydantic",
            "host's Python",
            id="wheel-of-another-python",
        ),
        pytest.param("compileall", "SyntaxError", "SyntaxError", id="unknown-cause-is-shown"),
    ],
)
def test_failing_tool_is_explained_and_leaves_the_environment_in_use(
    home: Path, tmp_path: Path, failing: str, says: str, advice: str
) -> None:
    service_environment.converge(
        options(home, write_archive(tmp_path / "a.tar")), Tools(), check_mode=False
    )
    in_use = (home / "venv").readlink()
    changed = write_archive(tmp_path / "b.tar", content=b"new")

    with pytest.raises(service_environment.BuildError, match=advice):
        service_environment.converge(options(home, changed), Tools(failing, says), check_mode=False)

    assert (home / "venv").readlink() == in_use
    assert [path.name for path in home.glob("venv-*")] == [str(in_use)]


def test_interrupted_build_is_built_again(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar")
    service_environment.converge(options(home, archive), Tools(), check_mode=False)
    (home / "venv" / service_environment.STAMP).unlink()
    tools = Tools()

    result = service_environment.converge(options(home, archive), tools, check_mode=False)

    assert result["changed"]
    assert tools.runs


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        pytest.param(("requirements.txt",), "one wheel of funai_services", id="no-own-wheel"),
        pytest.param((OWN,), "requirements.txt", id="no-lock"),
        pytest.param(("../escape",), "no plain file", id="leads-out"),
    ],
)
def test_archive_that_is_not_ours_is_refused(
    home: Path, tmp_path: Path, names: tuple[str, ...], reason: str
) -> None:
    archive = write_archive(tmp_path / "a.tar", *names)

    with pytest.raises(service_environment.BuildError, match=reason):
        service_environment.converge(options(home, archive), Tools(), check_mode=False)

    assert not (home / "venv").exists()
    assert not (home.parent / "escape").exists()


def test_damaged_archive_is_refused(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"not a tar")

    with pytest.raises(service_environment.BuildError, match="damaged"):
        service_environment.converge(options(home, archive), Tools(), check_mode=False)


def test_folder_in_the_place_of_the_link_is_left_alone(home: Path, tmp_path: Path) -> None:
    (home / "venv").mkdir()

    with pytest.raises(service_environment.BuildError, match="Move it away"):
        service_environment.converge(
            options(home, write_archive(tmp_path / "a.tar")), Tools(), check_mode=False
        )

    assert (home / "venv").is_dir()


def test_failure_names_the_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"archive": str(tmp_path / "none.tar"), "path": str(tmp_path)}

    with patch_module_args(args), pytest.raises(SystemExit):
        service_environment.main()

    message = json.loads(capsys.readouterr().out)["msg"]
    assert "none.tar" in message
    assert "Copy the archive to the host first." in message
