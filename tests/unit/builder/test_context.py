from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from funai.builder.context import ContextError, read_dockerfile, unpack

ROOM = 1024 * 1024


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    file.seek(0)
    return file


def test_files_folders_and_links_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "context"
    source = tar(
        member("empty", type=tarfile.DIRTYPE),
        member("./a/b.sh", b"#!/bin/sh\n", mode=0o4777, mtime=1),
        member("a/c.txt", b"text", mode=0o600),
        link("a/link", "../../outside"),
        link("a/hard", "a/c.txt", tarfile.LNKTYPE),
    )

    unpack(source, folder, ROOM)

    assert (folder / "empty").is_dir()
    assert (folder / "a/b.sh").stat().st_mode & 0o7777 == 0o755
    assert (folder / "a/c.txt").stat().st_mode & 0o7777 == 0o644
    assert (folder / "a/link").readlink() == Path("../../outside")
    assert (folder / "a/hard").samefile(folder / "a/c.txt")


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("../x", b"x")], id="parent"),
        pytest.param([member("a/../../x", b"x")], id="parent-inside"),
        pytest.param([member("/tmp/x", b"x")], id="absolute"),  # noqa: S108 - refused
        pytest.param([member("a", type=tarfile.FIFOTYPE)], id="fifo"),
        pytest.param([member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], id="device"),
        pytest.param([link("hard", "../../etc/passwd", tarfile.LNKTYPE)], id="hard-link-out"),
        pytest.param([link("hard", "nowhere", tarfile.LNKTYPE)], id="hard-link-to-nothing"),
        pytest.param([member("a", b"1"), member("a", b"2")], id="twice"),
        pytest.param([member("a", b"1"), member("a/b", b"2")], id="file-and-folder"),
        pytest.param([member("a", b"1"), link("a", "b")], id="file-and-link"),
        pytest.param([member(".", b"x")], id="the-folder-itself"),
    ],
)
def test_member_that_is_no_part_of_a_context_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    with pytest.raises(ContextError) as refusal:
        unpack(tar(*members), tmp_path / "context", ROOM)

    assert refusal.value.reason == "BUILD_FAILED"
    assert {path.name for path in tmp_path.iterdir()} == {"context"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    source = tar(link("way", str(outside)), member("way/file", b"x"))

    with pytest.raises(ContextError):
        unpack(source, tmp_path / "context", ROOM)

    assert list(outside.iterdir()) == []


def test_context_larger_than_its_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError) as refusal:
        unpack(tar(member("a", b"x" * 5000)), tmp_path / "context", 8000)

    assert refusal.value.reason == "BUILD_DISK_FULL"


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="no tar"):
        unpack(io.BytesIO(b"x" * 4096), tmp_path / "context", ROOM)


def test_dockerfile_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/Dockerfile").write_bytes(b"FROM scratch\n")

    assert read_dockerfile(tmp_path, "sub/Dockerfile") == b"FROM scratch\n"


@pytest.mark.parametrize("name", ["missing", "sub", "link", "way/Dockerfile", "sub/x/y"])
def test_dockerfile_that_is_no_file_of_the_context_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/Dockerfile").write_bytes(b"FROM scratch\n")
    (tmp_path / "link").symlink_to("sub/Dockerfile")
    (tmp_path / "way").symlink_to("sub")

    with pytest.raises(ContextError) as refusal:
        read_dockerfile(tmp_path, name)

    assert refusal.value.reason == "DOCKERFILE_MISSING"
    assert name in refusal.value.message
