"""Frames on the socket: one byte of type, four bytes of length (big-endian), the payload."""

from __future__ import annotations

import struct
from typing import Final

#: client to server
REQUEST: Final = b"J"
CONTEXT: Final = b"T"
CONTEXT_END: Final = b"E"
DONE: Final = b"D"
#: server to client
LINE: Final = b"L"
RESULT: Final = b"R"

#: A context travels in pieces of this size at most, and no other frame is larger.
LARGEST_PAYLOAD: Final = 64 * 1024
#: A request may carry 64 build arguments and 64 labels of 4096 characters.
LARGEST_REQUEST: Final = 4 * 1024 * 1024

_HEADER = struct.Struct("!cI")


class FrameError(Exception):
    """What came over the socket is no frame."""


def encode(kind: bytes, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return _HEADER.pack(kind, len(payload)) + payload


class FrameParser:
    """Cuts a stream of bytes into frames."""

    def __init__(self, largest: int = LARGEST_PAYLOAD) -> None:
        self._pending = bytearray()
        self._largest = largest

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._pending += data

    def next_frame(self) -> tuple[bytes, bytes] | None:
        """Return the next whole frame as (type, payload); None while it is incomplete.

        :raises FrameError: for a length beyond the limit
        """
        if len(self._pending) < _HEADER.size:
            return None
        kind, length = _HEADER.unpack_from(self._pending)
        if length > self._largest:
            msg = f"a frame of {length} bytes is larger than {self._largest}"
            raise FrameError(msg)
        end = _HEADER.size + length
        if len(self._pending) < end:
            return None
        payload = bytes(self._pending[_HEADER.size : end])
        del self._pending[:end]
        return kind, payload
