"""A file that is not read into memory as a whole, whatever its own headers ask for."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class _Bounded:
    def __init__(self, file: IO[bytes], largest: int, refuse: Callable[[str], Exception]) -> None:
        self._file = file
        self._largest = largest
        self._refuse = refuse
        self.seek, self.tell = file.seek, file.tell
        self.seekable, self.close = file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._largest:
            msg = "one of its headers is too large"
            raise self._refuse(msg)
        return self._file.read(size)


def open_bounded(path: Path, largest: int, refuse: Callable[[str], Exception]) -> IO[bytes]:
    """Open a file whose ``read`` raises what ``refuse`` returns beyond ``largest`` bytes at once."""
    return cast("IO[bytes]", _Bounded(path.open("rb"), largest, refuse))
