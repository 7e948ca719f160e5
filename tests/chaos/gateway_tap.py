"""Between an agent and its HAProxy: sees every route switch, and can be gone or refuse.

A UNIX socket that passes commands on to HAProxy's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.history import History

_SWITCH = re.compile(r"(set|add|del) map (\S+) (\S+)(?: (\S+))?")


class GatewayTap:
    """One listener per node."""

    def __init__(self, path: Path, haproxy: Path, node: str, history: History) -> None:
        self._path, self._haproxy, self._node = path, haproxy, node
        self._history = history
        self.is_denied = False
        #: Told of each switch (app, route) before the agent is answered.
        self.on_switch: Callable[[str, str], None] = lambda _app, _route: None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._talk, str(self._path))

    async def close(self) -> None:
        """Be gone, as the socket of a gateway that was removed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            command = await reader.readuntil(b"\n")
            if command.rstrip().endswith(b"<<"):
                # A payload goes on to an empty line.
                command += await reader.readuntil(b"\n\n")
            writer.write(await self._pass_on(command))
            await writer.drain()
        except (ConnectionError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _pass_on(self, command: bytes) -> bytes:
        if self.is_denied:
            return b"Permission denied\n"
        answer = await self._ask(command)
        switch = _SWITCH.match(command.decode(errors="replace"))
        if switch is not None and not answer.strip():
            verb, path, app, route = switch.groups()
            if verb == "del" or await self._has(path, app, route):
                self._history.add("route", verb=verb, app=app, route=route or "", node=self._node)
                self.on_switch(app, route or "")
        return answer

    async def _has(self, path: str, app: str, route: str) -> bool:
        """Ask what an app is routed to: silence is also what a HAProxy says that just ended."""
        try:
            answer = await self._ask(f"get map {path} {app}\n".encode())
        except OSError:
            return False
        return f'"{route}"'.encode() in answer

    async def _ask(self, command: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._haproxy))
        try:
            writer.write(command)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
