"""HTTP/1.1 messages as the engine and the links pass them on: head, and a body of known length."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

_MAX_HEAD = 65536
_REASONS = {200: "OK", 201: "Created", 204: "No Content"}


@dataclass(frozen=True)
class Message:
    """A request or a response."""

    head: bytes
    body: bytes

    @property
    def first(self) -> str:
        """The request line or status line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    def header(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def raw(self) -> bytes:
        return self.head + self.body


async def read(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message; None where the peer has no more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    message = Message(head, b"")
    length = message.header("content-length")
    if length:
        return Message(head, await reader.readexactly(int(length)))
    if message.header("transfer-encoding"):
        return Message(head, await _chunks(reader))
    return message


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Return a chunked body as it came."""
    parts = []
    while True:
        size = await reader.readuntil(b"\r\n")
        parts.append(size)
        parts.append(await reader.readexactly(int(size.split(b";")[0], 16) + 2))
        if int(size.split(b";")[0], 16) == 0:
            return b"".join(parts)


def response(status: int, content: object) -> bytes:
    """Return a response; bytes go out as they are, anything else as JSON."""
    body = content if isinstance(content, bytes) else b""
    if content is not None and not isinstance(content, bytes):
        body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
    if status != 204:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
