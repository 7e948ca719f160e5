"""A link between Deploy and its database that knows where a statement begins.

A client's packet is one statement (``COM_QUERY``): the link can answer it with an error of the
server's, or let a COMMIT through and lose the answer, which no other place can do.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from tests.chaos.link import Link

if TYPE_CHECKING:
    from tests.chaos.arming import Arms

_COM_QUERY = 3
_MAX_SHOWN = 400
_WORDS = {
    1205: (b"HY000", b"Lock wait timeout exceeded; try restarting transaction"),
    1213: (b"40001", b"Deadlock found when trying to get lock; try restarting transaction"),
    1020: (b"HY000", b"Record has changed since last read in table"),
}


class DatabaseLink(Link):
    """One listener in front of the database's port."""

    def __init__(self, upstream: int) -> None:
        super().__init__()
        self._upstream = upstream

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to_server}
        session = _Session(self.arms, writer, to_server)
        back = asyncio.create_task(session.relay_answers(from_server))
        try:
            await session.relay_statements(reader)
        finally:
            back.cancel()
            for one in (writer, to_server):
                self._open.discard(one)
                with contextlib.suppress(ConnectionError):
                    one.transport.abort()


class _Session:
    """One connection."""

    def __init__(
        self, arms: Arms, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter
    ) -> None:
        self._arms = arms
        self._to_client, self._to_server = to_client, to_server
        self._is_deaf = False

    async def relay_answers(self, from_server: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await from_server.read(65536):
                if self._is_deaf:
                    # Until the client's own time is up or the answer came, which it never sees.
                    self._to_client.transport.abort()
                    return
                self._to_client.write(data)
                await self._to_client.drain()
        self._to_client.transport.abort()

    async def relay_statements(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4)
                payload = await reader.readexactly(int.from_bytes(head[:3], "little"))
                if not await self._meets_fault(payload):
                    self._to_server.write(head + payload)
                    await self._to_server.drain()

    async def _meets_fault(self, payload: bytes) -> bool:
        """Do what is armed for a statement; True where it must not reach the server."""
        if not payload or payload[0] != _COM_QUERY:
            return False
        armed = self._arms.take(payload[1 : 1 + _MAX_SHOWN].decode(errors="replace"))
        if armed is None:
            return False
        if armed.action == "drop_response":
            self._is_deaf = True
        elif armed.action == "delay":
            await asyncio.sleep(armed.seconds)
        elif armed.action == "half_open":
            await asyncio.sleep(armed.seconds)
            raise ConnectionAbortedError
        else:
            self._to_client.write(_error_packet(int(armed.action)))
            await self._to_client.drain()
            return True
        return False


def _error_packet(number: int) -> bytes:
    state, words = _WORDS[number]
    payload = b"\xff" + struct.pack("<H", number) + b"#" + state + words
    return len(payload).to_bytes(3, "little") + b"\x01" + payload
