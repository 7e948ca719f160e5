"""The file that a gateway reads its map from when it starts."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from funai.gateway.routes import parse_table, render_table

if TYPE_CHECKING:
    from pathlib import Path

_NEW_FILE_MODE = 0o660


def read_map_file(path: Path) -> dict[str, str]:
    """Return the file's routes; a missing file has none."""
    try:
        return parse_table(path.read_text("utf-8", "replace").splitlines())
    except FileNotFoundError:
        return {}


def write_map_file(path: Path, table: dict[str, str]) -> None:
    """Replace the file's content so that a reader, or a crash, sees all of it or nothing.

    Group and mode of the file that is there are kept: the gateway reads it through its group.
    """
    replace_file(path, render_table(table))


def replace_file(path: Path, text: str, new_file_mode: int = _NEW_FILE_MODE) -> None:
    """Write a file durably: temporary file, fsync, rename, fsync of the folder."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_temporary_prefix(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _take_over_access(file.fileno(), path, new_file_mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - mkstemp gives a name, not a Path
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
    _sync_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writers that were killed; only while nobody writes."""
    for leftover in path.parent.glob(f"{_temporary_prefix(path)}*"):
        leftover.unlink(missing_ok=True)


def _temporary_prefix(path: Path) -> str:
    return f".{path.name}."


def _take_over_access(descriptor: int, path: Path, new_file_mode: int) -> None:
    try:
        known = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, new_file_mode)
        return
    if os.fstat(descriptor).st_gid != known.st_gid:
        os.fchown(descriptor, -1, known.st_gid)
    os.fchmod(descriptor, known.st_mode & 0o777)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
