"""A tree inside a zip."""

from __future__ import annotations

import calendar
import contextlib
import stat
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from funai.runner.source.bounded import open_bounded
from funai.runner.source.names import inner_name, unsafe
from funai.runner.source.tar_tree import broken
from funai.runner.source.tree import MAX_ENTRIES, Entry, Kind
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: The list at a zip's end is read as a whole; this is enough for the entries that are taken.
MAX_READ_BYTES = 16 * 1024 * 1024
MAX_TARGET_BYTES = 4096
#: Bits of a member's flags: encrypted, a patch to another file, strongly encrypted.
_ENCRYPTED, _PATCHED, _STRONGLY_ENCRYPTED = 0x1, 0x20, 0x40
#: What the reader raises for bytes that it cannot make sense of.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,  # NotImplementedError too
    struct.error,
    OSError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNIX = 3
#: What a zip's content may be beside a plain file.
_KINDS = {0: Kind.FILE, stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[ZipTree]:
    """Open a zip as a tree.

    :raises StepError: ``ARCHIVE_INVALID``, ``ARCHIVE_UNSAFE`` or ``ARCHIVE_TOO_LARGE``
    """
    with open_bounded(path, MAX_READ_BYTES, zipfile.BadZipFile) as file:
        yield ZipTree(file)


class ZipTree:
    """The members of a zip. Sizes are those of its list; a content that is longer is cut there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._entries: dict[str, Entry] = {}
        try:
            self._zip = zipfile.ZipFile(file)
            if len(self._zip.infolist()) > MAX_ENTRIES:
                sentence = f"The archive has more than {MAX_ENTRIES} entries. Leave some out."
                raise StepError(reason="ARCHIVE_TOO_LARGE", sentence=sentence)
            for member in self._zip.infolist():
                self._add(member)
        except _BROKEN as exc:
            raise broken(exc) from exc

    @property
    def entries(self) -> Mapping[str, Entry]:
        """See ``Tree``."""
        return self._entries

    def open(self, entry: Entry) -> IO[bytes]:
        """See ``Tree``."""
        return self._zip.open(self._members[entry.path])

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = inner_name(member.filename)
        if not name:
            return
        entry = self._entry(name, member)
        known = self._entries.get(name)
        if known is not None and not (known.kind is entry.kind is Kind.FOLDER):
            raise unsafe(name, "is there twice")
        self._entries[name] = entry
        self._members[name] = member

    def _entry(self, name: str, member: zipfile.ZipInfo) -> Entry:
        if member.flag_bits & (_ENCRYPTED | _STRONGLY_ENCRYPTED):
            sentence = "The archive is encrypted. Export it without a password, then deploy again."
            raise StepError(reason="ARCHIVE_INVALID", sentence=sentence)
        if member.flag_bits & _PATCHED or member.compress_type not in _METHODS:
            sentence = "The archive is compressed in an unusual way. Use deflate, as `zip -r` does."
            raise StepError(reason="ARCHIVE_INVALID", sentence=sentence)
        if member.header_offset < 0:
            msg = "a member begins before the archive does"
            raise zipfile.BadZipFile(msg)
        mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
        kind = Kind.FOLDER if member.is_dir() else _KINDS.get(stat.S_IFMT(mode))
        if kind is None:
            raise unsafe(name, "is a device or a pipe")
        mtime = _seconds(member.date_time)
        if kind is not Kind.LINK:
            return Entry(name, kind, member.file_size, bool(mode & 0o100), mtime=mtime)
        if member.file_size > MAX_TARGET_BYTES:
            raise unsafe(name, "is a link that is too long")
        return Entry(name, kind, target=self._target(member), mtime=mtime)

    def _target(self, member: zipfile.ZipInfo) -> str:
        with self._zip.open(member) as content:
            # With a bound: without one, all that is packed there is unpacked before it is cut.
            return content.read(MAX_TARGET_BYTES).decode("utf-8", "surrogateescape")


def _seconds(moment: tuple[int, int, int, int, int, int]) -> int:
    try:
        return calendar.timegm((*moment, 0, 0, 0))
    except ValueError:
        return 0  # some tools leave month and day at zero
