"""Requests through the gateway while the agent dies and comes back, and what answered them."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

#: A client that thinks; without it the load itself would be what slows the agent.
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent and answered, and by which version."""

    sent: float
    done: float
    status: int
    #: ``X-App-Release``, which the gateway adds from the route.
    release: str
    #: What the container itself says it is.
    image: str
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether a user would have seen an error."""
        return self.status != http.client.OK


class Load:
    """Clients that ask for one app without end, over connections that stay open."""

    def __init__(self, port: int, app_id: str, clients: int = 2) -> None:
        self._port, self._path = port, f"/apps/{app_id}/"
        self._stop = threading.Event()
        self._answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def count(self) -> int:
        """Return how many requests were answered until now."""
        return len(self._answers)

    def since(self, number: int) -> list[Answer]:
        """Return the answers after the first so many, in the order in which they came."""
        return self._answers[number:]

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.wait(_PAUSE_SECONDS):
            self._answers.append(self._ask(connection))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Answer:
        sent = time.monotonic()
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            return Answer(sent, time.monotonic(), 0, "", "", repr(exc))
        release = answer.headers.get("X-App-Release", "")
        # "release <image tag> port ..."
        image = text.split()[1] if text.startswith("release ") else text[:80]
        return Answer(sent, time.monotonic(), answer.status, release, image)
