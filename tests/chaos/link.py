"""What all links have in common: a listener on loopback whose connections can be reset."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from tests.chaos.arming import Arms


class Link(ABC):
    """One listener. What is armed at it happens to what passes."""

    def __init__(self) -> None:
        self.port = 0
        self.arms = Arms()
        self.is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.abort_all()

    def abort_all(self) -> None:
        """Reset every connection; called in the loop."""
        for writer in list(self._open):
            writer.transport.abort()

    @abstractmethod
    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client says, until it ends."""
