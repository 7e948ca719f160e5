"""What the forge's garbage collection says it freed, by a registry that is a script."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from lab import layout

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = layout.ROOT / "roles/forge/files/funai_registry_gc.py"


@pytest.fixture
def program() -> Any:
    spec = importlib.util.spec_from_file_location("funai_registry_gc", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(tmp_path: Path) -> Path:
    version = tmp_path / "store/docker/registry/v2"
    (version / "repositories/app").mkdir(parents=True)
    for digest, size in (("aa11", 1000), ("bb22", 300)):
        data = version / "blobs/sha256" / digest[:2] / digest / "data"
        data.parent.mkdir(parents=True)
        data.write_bytes(b"x" * size)
    return tmp_path / "store"


def use_registry(program: Any, tmp_path: Path, script: str) -> None:
    fake = tmp_path / "docker-registry"
    fake.write_text(f'#!/bin/sh\necho called "$@" >> {tmp_path}/calls\n{script}\n')
    fake.chmod(0o755)
    program.REGISTRY = str(fake)


def test_it_says_what_went_and_what_stays(program: Any, store: Path, tmp_path: Path) -> None:
    use_registry(program, tmp_path, f"rm -r {store}/docker/registry/v2/blobs/sha256/aa/aa11")

    line = program.report(store, tmp_path / "config.yml", dry_run=False)

    assert line.startswith("freed 1 blobs, 1000 bytes in ")
    assert line.endswith("1 blobs, 300 bytes stay")


def test_manifests_without_a_tag_are_kept(program: Any, store: Path, tmp_path: Path) -> None:
    use_registry(program, tmp_path, "")

    program.report(store, tmp_path / "config.yml", dry_run=False)

    assert (tmp_path / "calls").read_text() == f"called garbage-collect {tmp_path}/config.yml\n"


def test_dry_run_changes_nothing(program: Any, store: Path, tmp_path: Path) -> None:
    use_registry(program, tmp_path, "echo 'blob eligible for deletion: sha256:aa11'")

    line = program.report(store, tmp_path / "config.yml", dry_run=True)

    assert line.startswith("would free 1 blobs, 1000 bytes in ")
    assert "--dry-run" in (tmp_path / "calls").read_text()
    assert len(program.sizes_by_digest(store)) == 2


def test_failure_shows_the_end_of_what_the_registry_said(
    program: Any, store: Path, tmp_path: Path
) -> None:
    use_registry(program, tmp_path, "seq 100; echo 'failed to mark: disk on fire'; exit 1")

    with pytest.raises(RuntimeError, match="ended with 1") as error:
        program.report(store, tmp_path / "config.yml", dry_run=False)

    lines = str(error.value).splitlines()
    assert lines[-1] == "failed to mark: disk on fire"
    assert len(lines) == 21


def test_registry_without_images_is_no_failure(program: Any, tmp_path: Path) -> None:
    use_registry(program, tmp_path, "exit 1")

    assert "nothing to collect" in program.report(tmp_path, tmp_path / "config.yml", dry_run=False)


def test_nothing_is_left_of_blobs_that_went(program: Any, store: Path, tmp_path: Path) -> None:
    version = store / "docker/registry/v2"
    app = version / "repositories/team/app"
    for digest in ("aa11", "bb22"):
        link = app / "_layers/sha256" / digest / "link"
        link.parent.mkdir(parents=True)
        link.write_text(f"sha256:{digest}")
    for digest in ("aa11", "bb22"):
        (app / "_manifests/revisions/sha256" / digest).mkdir(parents=True)
    (app / "_manifests/revisions/sha256/bb22/link").write_text("sha256:bb22")
    use_registry(program, tmp_path, f"rm -r {version}/blobs/sha256/aa/aa11")

    program.report(store, tmp_path / "config.yml", dry_run=False)

    assert not list(version.rglob("*aa*"))
    assert [path.name for path in app.rglob("link")] == ["link", "link"]


def test_dry_run_sweeps_nothing(program: Any, store: Path, tmp_path: Path) -> None:
    link = store / "docker/registry/v2/repositories/app/_layers/sha256/cc33/link"
    link.parent.mkdir(parents=True)
    link.touch()
    use_registry(program, tmp_path, "")

    program.report(store, tmp_path / "config.yml", dry_run=True)

    assert link.exists()
