"""A file that is not read into memory as a whole, whatever its own headers ask for."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class _Bounded:
    def __init__(self, file: IO[bytes], largest: int, refuse: Callable[[str], Exception]) -> None:
        self._file = file
        self._largest = largest
        self._refuse = refuse
        self.seek, self.tell = file.seek, file.tell
        self.seekable, self.close = file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        content = b"" if size > self._largest else self._file.read(self._at_most(size))
        if max(size, len(content)) > self._largest:
            msg = "one of its headers is too large"
            raise self._refuse(msg)
        return content

    def _at_most(self, size: int) -> int:
        return self._largest + 1 if size < 0 else size


@contextlib.contextmanager
def open_bounded(
    path: Path, largest: int, refuse: Callable[[str], Exception]
) -> Iterator[IO[bytes]]:
    """Open a file whose ``read`` raises what ``refuse`` returns beyond ``largest`` bytes at once."""
    with path.open("rb") as file:
        yield cast("IO[bytes]", _Bounded(file, largest, refuse))
