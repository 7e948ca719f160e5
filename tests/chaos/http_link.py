"""A link between two services that speak HTTP, which can be slow, deaf, cut or repeat itself.

Between several upstreams it is the balancer: requests go round, a dead upstream is passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from typing import TYPE_CHECKING

from tests.chaos import http_message
from tests.chaos.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.arming import Armed
    from tests.chaos.history import History
    from tests.chaos.http_message import Message

_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_JITTER_SECONDS = 0.3
_LOSS = 0.2


class HttpLink(Link):
    """One listener. All methods but the loop's own may be called from any thread.

    :param upstreams: ports on loopback
    :param noted: which requests go into the history, with their answer's head
    """

    def __init__(
        self,
        name: str,
        upstreams: list[int],
        history: History,
        noted: Callable[[str], bool] = lambda _first: False,
    ) -> None:
        super().__init__()
        self.name = name
        self.is_lossy = False
        self._upstreams = itertools.cycle(upstreams)
        self._count = len(upstreams)
        self._history = history
        self._noted = noted
        self._dice = random.Random(name)  # noqa: S311 - a plan, not a secret
        self._sessions: set[asyncio.Task[None] | None] = set()
        self._replays: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        await super().close()
        # Let the sessions see the end of their connections before the loop itself ends.
        await asyncio.sleep(0.05)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        # Nobody else holds on to the task while it waits for a peer that is gone.
        task = asyncio.current_task()
        self._sessions.add(task)
        try:
            while (request := await http_message.read(reader)) is not None:
                answer = await self._answer(request)
                if answer is None:
                    writer.transport.abort()
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer[:400].lower():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            self._sessions.discard(task)
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _answer(self, request: Message) -> bytes | None:
        """Return what the caller gets; None where its connection breaks."""
        if self.is_cut or (self.is_lossy and self._dice.random() < _LOSS):
            return None
        if self.is_lossy:
            await asyncio.sleep(self._dice.uniform(0, _JITTER_SECONDS))
        armed = self.arms.take(request.first)
        if armed is None:
            return await self._forward(request)
        return await self._suffer(armed, request)

    async def _suffer(self, armed: Armed, request: Message) -> bytes | None:
        match armed.action:
            case "delay":
                await asyncio.sleep(armed.seconds)
                return await self._forward(request)
            case "half_open":
                # The peer is gone and nobody says so: silence, then the connection breaks.
                await asyncio.sleep(armed.seconds)
                return None
            case "drop_response":
                await self._forward(request, seen="dropped")
                return None
            case "duplicate":
                first = await self._forward(request, seen="repeated")
                return await self._forward(request) if first is not None else None
            case "replay_later":
                answer = await self._forward(request)
                task = asyncio.create_task(self._replay(armed.seconds, request))
                self._replays.add(task)
                task.add_done_callback(self._replays.discard)
                return answer
        raise AssertionError(armed.action)

    async def _replay(self, seconds: float, request: Message) -> None:
        await asyncio.sleep(seconds)
        await self._forward(request, seen="replayed")

    async def _forward(self, request: Message, seen: str = "") -> bytes | None:
        began = time.monotonic()
        for _ in range(self._count):
            port = next(self._upstreams)
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            try:
                writer.write(request.raw)
                await writer.drain()
                response = await http_message.read(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                response = None
            finally:
                writer.close()
            if self._noted(request.first):
                self._note(request, response, seen, began)
            # A dead connection after the request was sent is not tried elsewhere: it may have been
            # done, which is the caller's to find out.
            return response.raw if response is not None else None
        return None if self._count == 1 else _BAD_GATEWAY

    def _note(self, request: Message, response: Message | None, seen: str, began: float) -> None:
        status = int(response.first.split(" ")[1]) if response is not None else 0
        content = response.json() if response is not None else None
        self._history.add(
            "call",
            link=self.name,
            began=began,
            request=request.first.rpartition(" ")[0],
            body=request.json(),
            status=status,
            code=content.get("code") if isinstance(content, dict) else None,
            reason=content.get("reason") if isinstance(content, dict) else None,
            seen=seen,
        )
