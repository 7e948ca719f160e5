"""The builder's spool is not trusted: only an image comes out of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from funai.runner.steps.layout import copy_layout
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOB = "a" * 64


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    spool = tmp_path / "spool"
    (spool / "blobs" / "sha256").mkdir(parents=True)
    (spool / "oci-layout").write_text("{}")
    (spool / "index.json").write_text("[]")
    (spool / "blobs" / "sha256" / BLOB).write_bytes(b"x" * 100_000)
    return spool


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_image_is_copied_whole(spool: Path, tmp_path: Path) -> None:
    copy_layout(spool, tmp_path / "image", 1_000_000)

    assert files(tmp_path / "image") == files(spool)


def test_what_does_not_belong_to_an_image_is_left(spool: Path, tmp_path: Path) -> None:
    (spool / "notes").write_text("x")
    (spool / "blobs" / "sha256" / "secret").symlink_to("/etc/passwd")

    copy_layout(spool, tmp_path / "image", 1_000_000)

    assert set(files(tmp_path / "image")) == {"oci-layout", "index.json", f"blobs/sha256/{BLOB}"}


def test_copy_replaces_an_earlier_one(spool: Path, tmp_path: Path) -> None:
    copy_layout(spool, tmp_path / "image", 1_000_000)
    copy_layout(spool, tmp_path / "image", 1_000_000)

    assert files(tmp_path / "image") == files(spool)


def link_blob(spool: Path) -> None:
    (spool / "blobs" / "sha256" / ("b" * 64)).symlink_to("/etc/passwd")


def link_index(spool: Path) -> None:
    (spool / "index.json").unlink()
    (spool / "index.json").symlink_to("/etc/passwd")


def link_blobs(spool: Path) -> None:
    (spool / "blobs").rename(spool / "elsewhere")
    (spool / "blobs").symlink_to("elsewhere")


def pipe_as_blob(spool: Path) -> None:
    os.mkfifo(spool / "blobs" / "sha256" / ("b" * 64))


def no_index(spool: Path) -> None:
    (spool / "index.json").unlink()


def large_blob(spool: Path) -> None:
    (spool / "blobs" / "sha256" / ("b" * 64)).write_bytes(b"x" * 1_000_000)


@pytest.mark.parametrize(
    "spoil", [link_blob, link_index, link_blobs, pipe_as_blob, no_index, large_blob]
)
def test_what_is_no_plain_image_is_refused(
    spool: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(spool)

    with pytest.raises(StepError) as caught:
        copy_layout(spool, tmp_path / "image", 1_000_000)

    assert caught.value.reason == "BUILD_FAILED"


def test_linked_spool_is_refused(spool: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(spool)

    with pytest.raises(StepError):
        copy_layout(tmp_path / "link", tmp_path / "image", 1_000_000)
