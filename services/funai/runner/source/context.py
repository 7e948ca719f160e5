"""Writes a build context: a tar of our own, with nothing in it but what was chosen."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from funai.runner.source.tar_tree import broken
from funai.runner.source.tree import Entry, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from funai.runner.source.tree import Selection, Tree

#: RuntimeError is what zipfile raises for what it does not read, in several kinds.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    LookupError,
    RuntimeError,
)
_TYPES = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}


def write_context(tree: Tree, selection: Selection, path: Path) -> None:
    """Write the chosen entries, owned by root and with plain modes.

    :raises StepError: ``ARCHIVE_INVALID`` where a content cannot be read
    """
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for name, entry in selection.members:
            try:
                _add(out, _header(name, entry), tree, entry)
            except (*_BROKEN, OSError) as exc:
                if isinstance(exc, OSError) and exc.errno:
                    raise  # of this host, not of the archive
                raise broken(exc) from exc


def _add(out: tarfile.TarFile, header: tarfile.TarInfo, tree: Tree, entry: Entry) -> None:
    if entry.kind is not Kind.FILE:
        out.addfile(header)
        return
    with tree.open(entry) as content:
        out.addfile(header, content)


def _header(name: str, entry: Entry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type = _TYPES[entry.kind]
    header.mtime = entry.mtime
    header.linkname = entry.target
    header.size = entry.size if entry.kind is Kind.FILE else 0
    is_plain = entry.kind is Kind.FILE and not entry.executable
    header.mode = 0o644 if is_plain else 0o755
    return header
