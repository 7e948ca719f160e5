"""Tars whose headers are made to keep the reader busy, or to fill its memory."""

from __future__ import annotations

import gzip
import tarfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from funai.runner.source import tar_tree
from funai.runner.source.archive import open_archive
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(kind: bytes, **fields: str) -> bytes:
    """Return a header that says more of the members after it; two underscores stand for a dot."""
    content = b""
    for name, value in fields.items():
        record = f" {name.replace('__', '.')}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        content += str(length).encode() + record
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return header("pax", kind, len(content)) + content + padding


def archive(folder: Path, *members: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(gzip.compress(header("Dockerfile") + b"".join(members) + bytes(1024), 1))
    return path


def refused(path: Path) -> StepError:
    with pytest.raises(StepError) as caught, open_archive(path, 100 * MIB):
        pass
    return caught.value


def peak_of_refusing(path: Path) -> tuple[StepError, int]:
    tracemalloc.start()
    error = refused(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return error, peak


@pytest.fixture
def few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a reader that goes round in circles reach the limit soon."""
    monkeypatch.setattr(tar_tree, "MAX_ENTRIES", 50)


@pytest.mark.usefixtures("few_entries")
@pytest.mark.parametrize("name", [".", "file"])
@pytest.mark.timeout(20)
def test_size_that_leads_back_to_its_own_header_is_refused(tmp_path: Path, name: str) -> None:
    error = refused(archive(tmp_path, header(name, size=-512)))

    assert error.reason == "ARCHIVE_INVALID"
    assert "negative" in error.evidence


@pytest.mark.usefixtures("few_entries")
@pytest.mark.timeout(20)
def test_size_of_an_extended_header_does_not_lead_back_either(tmp_path: Path) -> None:
    error = refused(archive(tmp_path, pax(tarfile.XHDTYPE, size="-1536"), header(".")))

    assert error.reason == "ARCHIVE_INVALID"


@pytest.mark.usefixtures("few_entries")
def test_members_that_are_left_out_are_counted_too(tmp_path: Path) -> None:
    error = refused(archive(tmp_path, *[header("./", tarfile.DIRTYPE)] * 60))

    assert error.reason == "ARCHIVE_TOO_LARGE"


def test_members_that_are_left_out_take_no_memory(tmp_path: Path) -> None:
    plain = tmp_path / "plain.tar"
    plain.write_bytes(header("./", tarfile.DIRTYPE) * 5000 + bytes(1024))

    tracemalloc.start()
    with tar_tree.open_tar(plain) as tree:
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert not tree.entries
    assert peak < MIB / 2


def test_fields_for_all_members_are_few(tmp_path: Path) -> None:
    fields = {f"f{number}": "x" for number in range(1000)}

    error = refused(archive(tmp_path, pax(tarfile.XGLTYPE, **fields), header("a")))

    assert error.reason == "ARCHIVE_INVALID"


def test_list_of_a_sparse_files_pieces_is_not_read(tmp_path: Path) -> None:
    first = bytearray(header("sparse", tarfile.GNUTYPE_SPARSE))
    first[482] = 1  # more pieces follow
    checksum = sum(first) - sum(first[148:156]) + 8 * ord(" ")
    first[148:156] = b"%06o\0 " % checksum
    piece = b"00000000001\0" * 2
    more = piece * 21 + b"\1" + bytes(7)
    path = archive(tmp_path, bytes(first), *[more] * 20_000)

    error, peak = peak_of_refusing(path)

    assert error.reason == "ARCHIVE_UNSAFE"
    assert "sparse" in error.sentence
    assert peak < 15 * MIB


def test_list_of_pieces_inside_a_sparse_file_is_not_read_either(tmp_path: Path) -> None:
    kind = pax(tarfile.XHDTYPE, GNU__sparse__major="1", GNU__sparse__minor="0")
    numbers = b"2000000\n" + b"1\n" * 4_000_000
    content = numbers + bytes(-len(numbers) % 512)
    path = archive(tmp_path, kind, header("sparse", size=len(content)), content)

    error, peak = peak_of_refusing(path)

    assert error.reason == "ARCHIVE_UNSAFE"
    assert peak < 15 * MIB


def test_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    damaged = bytearray(header("main.py"))
    damaged[0] ^= 1

    error = refused(archive(tmp_path, bytes(damaged), header("last")))

    assert error.reason == "ARCHIVE_INVALID"
