from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.wheelhouse import digest_files, inputs_digest, source_files, write_tar

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (
        "requirements/deploy.txt",
        "requirements/runner.txt",
        "services/funai/app.py",
        "playbooks/jobs/deploy_app.yml",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_what_tools_leave_behind_changes_nothing(project: Path) -> None:
    before = inputs_digest("deploy", project)

    for name in ("funai/__pycache__/app.pyc", "build/lib/app.py", "funai.egg-info/PKG-INFO"):
        path = project / "services" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made")

    assert inputs_digest("deploy", project) == before
    assert [p.name for p in source_files(project / "services")] == ["app.py"]


@pytest.mark.parametrize("name", ["services/funai/app.py", "requirements/deploy.txt"])
def test_changed_input_changes_the_digest(project: Path, name: str) -> None:
    before = inputs_digest("deploy", project)

    (project / name).write_text("changed")

    assert inputs_digest("deploy", project) != before


def test_job_playbooks_belong_to_the_runner_only(project: Path) -> None:
    before = [inputs_digest(name, project) for name in ("deploy", "runner")]

    (project / "playbooks/jobs/deploy_app.yml").write_text("changed")

    after = [inputs_digest(name, project) for name in ("deploy", "runner")]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_moved_content_is_another_digest(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"xy")
    second.write_bytes(b"")

    before = digest_files([("a", first), ("b", second)])
    first.write_bytes(b"x")
    second.write_bytes(b"y")

    assert digest_files([("a", first), ("b", second)]) != before


def test_archive_depends_on_content_only() -> None:
    one, two = io.BytesIO(), io.BytesIO()

    write_tar(one, {"b": b"2", "a": b"1"})
    write_tar(two, {"a": b"1", "b": b"2"})

    assert one.getvalue() == two.getvalue()
    with tarfile.open(fileobj=io.BytesIO(one.getvalue())) as tar:
        assert [(m.name, m.mtime, m.uid, m.mode) for m in tar] == [
            ("a", 0, 0, 0o644),
            ("b", 0, 0, 0o644),
        ]
