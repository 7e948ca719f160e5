"""A tree inside an uncompressed tar: git's, or a user's."""

from __future__ import annotations

import contextlib
import tarfile
from typing import IO, TYPE_CHECKING, NoReturn, Self

from funai.contract.ids import shown
from funai.runner.source.bounded import open_bounded
from funai.runner.source.names import inner_name, unsafe
from funai.runner.source.tree import MAX_ENTRIES, Entry, Kind
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

#: Contents are read in small pieces. Only headers of a member's header (pax, long names) are read
#: as a whole, and those have no reason to be large.
MAX_READ_BYTES = 1024 * 1024
#: Fields that one header gives to all members after it; each of them gets a copy.
MAX_SHARED_FIELDS = 64
_BROKEN = (tarfile.TarError, EOFError, ValueError, OverflowError, LookupError, RecursionError)
_NO_FILE = "is a device, a pipe or a sparse file"


@contextlib.contextmanager
def open_tar(path: Path, name_of: Callable[[str], str] = inner_name) -> Iterator[TarTree]:
    """Open a tar as a tree.

    :param name_of: makes the entry's path of a member's name; empty to leave it out
    :raises StepError: ``ARCHIVE_INVALID``, ``ARCHIVE_UNSAFE`` or ``ARCHIVE_TOO_LARGE``
    """
    with open_bounded(path, MAX_READ_BYTES, tarfile.ReadError) as file:
        yield TarTree(file, name_of)


class _Member(tarfile.TarInfo):
    """A member whose headers cannot lead the reader back, astray or into a long list."""

    __slots__ = ()

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header."""
        member = super().frombuf(buf, encoding, errors)
        _require_forward(member)
        return member

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read one member, with the headers that say more of it."""
        try:
            member = super().fromtarfile(tarfile_)
        except tarfile.InvalidHeaderError as exc:  # type: ignore[attr-defined]  # only typeshed has none
            # The reader would take it for the archive's end, and the rest would be missing.
            raise tarfile.ReadError(str(exc)) from exc
        _require_forward(member)
        return member

    # What lists a sparse file's pieces may be as long as the archive; such files are refused unread.

    def _proc_sparse(self, _tar: tarfile.TarFile) -> NoReturn:
        raise unsafe(self.name, _NO_FILE)

    def _proc_gnusparse_10(self, member: Self, *_more: object) -> NoReturn:
        raise unsafe(member.name, _NO_FILE)


def _require_forward(member: tarfile.TarInfo) -> None:
    # With a negative size the next header is this one again (CVE-2025-8194).
    if member.size < 0:
        msg = "the size of a member is negative"
        raise tarfile.ReadError(msg)


class TarTree:
    """The members of a tar. A hard link is a file of its own with the same content."""

    def __init__(self, file: IO[bytes], name_of: Callable[[str], str]) -> None:
        self._name_of = name_of
        self._members: dict[str, tarfile.TarInfo] = {}
        self._entries: dict[str, Entry] = {}
        try:
            self._tar = tarfile.open(fileobj=file, mode="r:", tarinfo=_Member)  # noqa: SIM115 - the file is the caller's
            self._add_all()
        except _BROKEN as exc:
            raise broken(exc) from exc

    @property
    def entries(self) -> Mapping[str, Entry]:
        """See ``Tree``."""
        return self._entries

    def open(self, entry: Entry) -> IO[bytes]:
        """See ``Tree``."""
        content = self._tar.extractfile(self._members[entry.path])
        assert content is not None  # noqa: S101 - only regular members are kept
        return content

    def _add_all(self) -> None:
        # Counted are members, not names: those that are left out or repeated take time as well.
        count = 0
        while (member := self._tar.next()) is not None:
            count += 1
            if count > MAX_ENTRIES:
                sentence = f"The archive has more than {MAX_ENTRIES} entries. Leave some out."
                raise StepError(reason="ARCHIVE_TOO_LARGE", sentence=sentence)
            if len(self._tar.pax_headers) > MAX_SHARED_FIELDS:
                msg = "a header has too many fields for all members"
                raise tarfile.ReadError(msg)
            member.pax_headers = {}  # applied already
            self._add(member)
            # It keeps each that it has read; which ones are needed again is known here.
            self._tar.members.clear()  # type: ignore[attr-defined]  # only typeshed has none

    def _add(self, member: tarfile.TarInfo) -> None:
        name = self._name_of(member.name)
        if not name:
            return
        known = self._entries.get(name)
        if known is not None and not (known.kind is Kind.FOLDER and member.isdir()):
            raise unsafe(name, "is there twice")
        self._entries[name] = self._entry(name, member)

    def _entry(self, name: str, member: tarfile.TarInfo) -> Entry:
        executable, mtime = bool(member.mode & 0o100), max(0, int(member.mtime))
        if member.isdir():
            return Entry(name, Kind.FOLDER, mtime=mtime)
        if member.issym():
            return Entry(name, Kind.LINK, target=member.linkname, mtime=mtime)
        source = member
        if member.islnk():
            known = self._members.get(self._name_of(member.linkname))
            if known is None:
                raise unsafe(
                    name, f"is a hard link to {shown(member.linkname)}, which is not there"
                )
            source = known
        if not source.isreg() or source.issparse():
            raise unsafe(name, _NO_FILE)
        self._members[name] = source
        return Entry(name, Kind.FILE, source.size, executable, mtime=mtime)


def broken(exc: Exception) -> StepError:
    """Return the error for an archive that cannot be read."""
    sentence = (
        "The archive cannot be read as zip or tar.gz; it may be cut off. Export it again, then"
        " deploy again with its new address and sha256."
    )
    return StepError(
        reason="ARCHIVE_INVALID", sentence=sentence, evidence=f"{type(exc).__name__}: {exc}"
    )
