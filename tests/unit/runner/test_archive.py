"""Archives as users export them, and as attackers make them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from funai.runner.source.archive import open_archive
from funai.runner.source.context import write_context
from funai.runner.source.tree import Kind, Selection, select
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1024 * 1024
FILES = {"Dockerfile": b"FROM scratch\n", "app/main.py": b"print(1)\n"}


def make_tar(path: Path, *members: tarfile.TarInfo, files: dict[str, bytes] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (FILES if files is None else files).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(info, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return path


def make_zip(path: Path, files: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = attributes.get(name.replace(".", "_"), 0o100644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def refused(path: Path, max_bytes: int = MIB) -> StepError:
    with pytest.raises(StepError) as caught, open_archive(path, max_bytes) as tree:
        select(tree.entries, ".", "Dockerfile", max_bytes)
    return caught.value


def as_tar(folder: Path, files: dict[str, bytes]) -> Path:
    return make_tar(folder / "archive", files=files)


def as_zip(folder: Path, files: dict[str, bytes]) -> Path:
    return make_zip(folder / "archive", files)


@pytest.mark.parametrize("make", [as_tar, as_zip])
@pytest.mark.parametrize("prefix", ["", "./", "export-1/"])
def test_archive_is_read_without_the_folder_around_it(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], prefix: str
) -> None:
    path = make(tmp_path, {f"{prefix}{name}": content for name, content in FILES.items()})
    out = tmp_path / "context.tar"

    with open_archive(path, MIB) as tree:
        chosen = select(tree.entries, ".", "Dockerfile", MIB)
        write_context(tree, chosen, out)

    with tarfile.open(out) as tar:
        found = {m.name: tar.extractfile(m) for m in tar if m.isfile()}
        contents = {name: file.read() for name, file in found.items() if file}
    assert contents == FILES


def test_one_file_alone_is_not_a_folder_around_others(tmp_path: Path) -> None:
    path = as_tar(tmp_path, {"Dockerfile": b"FROM scratch\n"})

    with open_archive(path, MIB) as tree:
        assert list(tree.entries) == ["Dockerfile"]


def test_executables_and_links_of_a_zip_are_kept(tmp_path: Path) -> None:
    files = {**FILES, "run.sh": b"#!/bin/sh\n", "l": b"app/main.py"}
    path = make_zip(tmp_path / "archive", files, run_sh=0o100755, l=0o120777)

    with open_archive(path, MIB) as tree:
        entries = tree.entries
        assert entries["run.sh"].executable
        assert not entries["Dockerfile"].executable
        assert (entries["l"].kind, entries["l"].target) == (Kind.LINK, "app/main.py")


def test_hard_link_is_a_file_with_the_same_content(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "archive", member("again", tarfile.LNKTYPE, "app/main.py"))

    with open_archive(path, MIB) as tree:
        assert tree.open(tree.entries["again"]).read() == FILES["app/main.py"]


@pytest.mark.parametrize("make", [as_tar, as_zip])
@pytest.mark.parametrize(
    "name", ["../outside", "a/../../outside", "/etc/cron.d/x", "a\\..\\x", "a/\n"]
)
def test_names_that_point_elsewhere_are_refused(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    error = refused(make(tmp_path, {**FILES, name: b"x"}))

    assert error.reason == "ARCHIVE_UNSAFE"
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(member("d", tarfile.CHRTYPE), id="device"),
        pytest.param(member("p", tarfile.FIFOTYPE), id="pipe"),
        pytest.param(member("h", tarfile.LNKTYPE, "/etc/passwd"), id="hard link out"),
        pytest.param(member("h", tarfile.LNKTYPE, "nowhere"), id="hard link to nothing"),
        pytest.param(member("Dockerfile", tarfile.SYMTYPE, "/etc/passwd"), id="name twice"),
    ],
)
def test_members_that_are_no_files_are_refused(tmp_path: Path, extra: tarfile.TarInfo) -> None:
    assert refused(make_tar(tmp_path / "archive", extra)).reason == "ARCHIVE_UNSAFE"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x"])
def test_links_out_of_the_archive_are_refused(tmp_path: Path, target: str) -> None:
    path = make_tar(tmp_path / "archive", member("l", tarfile.SYMTYPE, target))

    assert refused(path).reason == "CONTEXT_INVALID"


def test_file_below_a_link_is_refused(tmp_path: Path) -> None:
    below = tarfile.TarInfo("l/x")
    path = make_tar(tmp_path / "archive", member("l", tarfile.SYMTYPE, "app"), below)

    assert refused(path).reason == "CONTEXT_INVALID"


@pytest.mark.parametrize("make", [as_tar, as_zip])
def test_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    path = make(tmp_path, {**FILES, "zeros": bytes(200 * MIB)})
    assert path.stat().st_size < MIB

    error = refused(path, max_bytes=MIB)

    assert error.reason == "ARCHIVE_TOO_LARGE"
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 150 * MIB


def test_zip_whose_list_tells_a_smaller_size_is_cut_there(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "archive", {**FILES, "zeros": bytes(5 * MIB)})
    raw = path.read_bytes()
    size, small = struct.pack("<I", 5 * MIB), struct.pack("<I", 10)
    path.write_bytes(raw.replace(size, small))

    with open_archive(path, MIB) as tree:
        everything = Selection(tuple(tree.entries.items()), "Dockerfile")
        with pytest.raises(StepError) as caught:
            write_context(tree, everything, tmp_path / "context.tar")

    assert caught.value.reason == "ARCHIVE_INVALID"


def test_header_that_is_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 100 * MIB
    plain = info.tobuf() + bytes(100 * MIB)
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(plain, 1))

    tracemalloc.start()
    error = refused(path, max_bytes=200 * MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert error.reason == "ARCHIVE_INVALID"
    assert peak < 20 * MIB


def test_rows_of_headers_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 0
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(info.tobuf() * 5000))

    assert refused(path).reason == "ARCHIVE_INVALID"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"plain text", id="text"),
        pytest.param(b"\x1f\x8bgarbage that is long enough", id="garbage after gzip's magic"),
        pytest.param(b"PK\x03\x04garbage", id="garbage after zip's magic"),
        pytest.param(gzip.compress(b"not a tar" * 200)[:-9], id="cut off"),
        pytest.param(gzip.compress(b"not a tar" * 200), id="gzip without a tar"),
    ],
)
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(content)

    assert refused(path).reason == "ARCHIVE_INVALID"


@pytest.mark.parametrize(
    ("bit", "said"),
    [
        pytest.param(0x1, "encrypted", id="encrypted"),
        pytest.param(0x20, "unusual way", id="patch to another file"),
        pytest.param(0x40, "encrypted", id="strongly encrypted"),
    ],
)
def test_zip_that_cannot_be_read_is_said_before_it_is(tmp_path: Path, bit: int, said: str) -> None:
    path = make_zip(tmp_path / "archive", FILES)
    raw = bytearray(path.read_bytes())
    at = 0
    while (at := raw.find(b"PK\x01\x02", at)) >= 0:
        raw[at + 8] |= bit
        at += 4
    path.write_bytes(raw)

    error = refused(path)

    assert error.reason == "ARCHIVE_INVALID"
    assert said in error.sentence


def test_damaged_link_of_a_zip_is_said(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "archive", {"l": b"app/main.py", **FILES}, l=0o120777)
    raw = bytearray(path.read_bytes())
    raw[len(b"PK\x03\x04") + 26 + len("l")] = 0xFF  # no kind of block of deflate
    path.write_bytes(raw)

    assert refused(path).reason == "ARCHIVE_INVALID"


def test_link_of_a_zip_that_is_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "archive", {**FILES, "l": bytes(100 * MIB)}, l=0o120777)
    size, small = struct.pack("<I", 100 * MIB), struct.pack("<I", 10)
    path.write_bytes(path.read_bytes().replace(size, small))

    tracemalloc.start()
    error = refused(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert error.reason == "ARCHIVE_INVALID"
    assert peak < 20 * MIB


def test_zip_whose_member_begins_before_it_is_said(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "archive", FILES)
    raw = bytearray(path.read_bytes())
    end = raw.rindex(b"PK\x05\x06")
    (offset,) = struct.unpack_from("<I", raw, end + 16)
    struct.pack_into("<I", raw, end + 16, offset + 1)
    path.write_bytes(raw)

    assert refused(path).reason == "ARCHIVE_INVALID"


def test_folder_with_a_time_that_no_tar_can_hold_is_said(tmp_path: Path) -> None:
    info = member("d", tarfile.DIRTYPE)
    info.pax_headers = {"mtime": "1e300"}
    path = make_tar(tmp_path / "archive", info)

    with open_archive(path, MIB) as tree:
        everything = Selection(tuple(tree.entries.items()), "Dockerfile")
        with pytest.raises(StepError) as caught:
            write_context(tree, everything, tmp_path / "context.tar")

    assert caught.value.reason == "ARCHIVE_INVALID"
