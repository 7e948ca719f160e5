"""Opens a downloaded archive as a tree: zip or tar.gz, without unpacking it onto the disk."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from funai.runner.source.tar_tree import broken, open_tar
from funai.runner.source.tree import Entry, Kind, Tree
from funai.runner.source.zip_tree import open_zip
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PIECE_BYTES = 1024 * 1024
#: What the headers of a tar may take on top of its files.
_TAR_HEADERS_BYTES = 128 * 1024 * 1024


@contextlib.contextmanager
def open_archive(path: Path, max_bytes: int) -> Iterator[Tree]:
    """Open the archive's tree, without the one folder that may hold all of it.

    :param max_bytes: how much it may hold, however small it is packed
    :raises StepError: ``ARCHIVE_INVALID``, ``ARCHIVE_UNSAFE`` or ``ARCHIVE_TOO_LARGE``
    """
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic.startswith(_GZIP):
        plain = path.with_name(f"{path.name}.tar")
        _decompress(path, plain, max_bytes)
        path.unlink()
        opened: AbstractContextManager[Tree] = open_tar(plain)
    elif magic in _ZIP:
        opened = open_zip(path)
    else:
        sentence = (
            "The archive is neither zip nor tar.gz. Export it as one of them, then deploy again."
        )
        raise StepError(reason="ARCHIVE_INVALID", sentence=sentence)
    with opened as tree:
        if sum(entry.size for entry in tree.entries.values()) > max_bytes:
            raise _too_large(max_bytes)
        top = _only_folder(tree.entries)
        yield _Below(tree, top) if top else tree


class _Below:
    """The part of a tree below one folder."""

    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree = tree
        self._outer = {
            path[len(folder) + 1 :]: entry
            for path, entry in tree.entries.items()
            if path.startswith(f"{folder}/")
        }
        self._entries = {path: replace(entry, path=path) for path, entry in self._outer.items()}

    @property
    def entries(self) -> Mapping[str, Entry]:
        """See ``Tree``."""
        return self._entries

    def open(self, entry: Entry) -> IO[bytes]:
        """See ``Tree``."""
        return self._tree.open(self._outer[entry.path])


def _only_folder(entries: Mapping[str, Entry]) -> str:
    tops = {path.split("/", 1)[0] for path in entries}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    found = entries.get(top)
    return top if found is None or found.kind is Kind.FOLDER else ""


def _decompress(path: Path, plain: Path, max_bytes: int) -> None:
    room = max_bytes + _TAR_HEADERS_BYTES
    try:
        with gzip.open(path) as packed, plain.open("wb") as out:
            while piece := packed.read(_PIECE_BYTES):
                room -= len(piece)
                if room < 0:
                    raise _too_large(max_bytes)
                out.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise broken(exc) from exc


def _too_large(max_bytes: int) -> StepError:
    sentence = (
        f"The archive holds more than {max_bytes // (1024 * 1024)} MiB when unpacked. Leave out what"
        " the build does not need."
    )
    return StepError(reason="ARCHIVE_TOO_LARGE", sentence=sentence)
