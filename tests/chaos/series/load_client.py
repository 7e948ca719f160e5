"""Requests without end over kept-alive connections: ``python -m tests.chaos.series.load_client FILE``.

FILE is a ``Board``: what the clients are told while they run, and how far they are. Each answer is
checked; what was found is printed as JSON at the end. A process of its own, since the load must not
wait for the harness's other threads, and bare sockets, since no library may repeat a request.
"""

from __future__ import annotations

import json
import mmap
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_SLOTS = 64
_NUMBER = struct.Struct("<Q")
_TIMEOUT_SECONDS = 15.0
_KEPT = 20
#: Between two requests of one connection: clients that think, else the load alone fills the machine.
_PAUSE_SECONDS = 0.002


class Board:
    """Numbers in a file that several processes see at once: stop, the oldest right version, counts."""

    STOP, OLDEST, FIRST_COUNT = 0, 1, 2

    def __init__(self, path: Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(_SLOTS * _NUMBER.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SLOTS * _NUMBER.size)

    def get(self, slot: int) -> int:
        return int(_NUMBER.unpack_from(self._memory, slot * _NUMBER.size)[0])

    def put(self, slot: int, value: int) -> None:
        _NUMBER.pack_into(self._memory, slot * _NUMBER.size, value)

    def sum(self) -> int:
        """Return how many requests were answered until now."""
        return sum(self.get(slot) for slot in range(self.FIRST_COUNT, _SLOTS))


@dataclass
class Found:
    """What one connection saw."""

    requests: int = 0
    posts: int = 0
    #: What a user would have seen as an error.
    failed: list[str] = field(default_factory=list)
    #: Answers of a version that was not the right one any more, or never.
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    #: (release of the gateway's header, version that answered) -> how often.
    releases: Counter[tuple[str, int]] = field(default_factory=Counter)


class Connection:
    """One client: GET and POST in turn, one request at a time, a new connection only after an error."""

    def __init__(self, port: int, path: str, board: Board, slot: int, fails: int) -> None:
        self._port, self._path = port, path
        self._board, self._slot, self._fails = board, slot, fails
        self._socket: socket.socket | None = None
        self._rest = b""
        self.found = Found()

    def run(self) -> None:
        while not self._board.get(Board.STOP):
            self.found.requests += 1
            began = time.monotonic()
            oldest = self._board.get(Board.OLDEST)
            try:
                self.check(self._ask(self.found.requests), oldest)
            except (OSError, ValueError, KeyError) as exc:
                self.found.failed.append(f"{time.time():.3f} {exc!r}")
                self._hang_up()
            self.found.seconds.append(time.monotonic() - began)
            self._board.put(self._slot, self.found.requests)
            time.sleep(_PAUSE_SECONDS)
        self._hang_up()

    def _ask(self, number: int) -> tuple[int, dict[str, str], bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), _TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._rest = b""
        self._socket.sendall(self._request(number))
        status, headers = self._head()
        body = self._read(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self._hang_up()
        return status, headers, body

    def _request(self, number: int) -> bytes:
        start = f"{{}} {self._path} HTTP/1.1\r\nHost: series.test\r\n"
        if number % 2:
            return f"{start.format('GET')}\r\n".encode()
        self.found.posts += 1
        body = b"x" * (number % 500)
        return f"{start.format('POST')}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    def _read(self, length: int) -> bytes:
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return body

    def _more(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(65536)
        if not received:
            msg = "the connection was closed before the answer was complete"
            raise ConnectionError(msg)
        self._rest += received

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def check(self, answer: tuple[int, dict[str, str], bytes], oldest: int) -> None:
        """Note what is wrong with an answer to the request that was counted last."""
        status, headers, body = answer
        if status != 200:
            self.found.failed.append(f"{time.time():.3f} status {status}: {body[:120]!r}")
            return
        said = json.loads(body)
        number = int(said["labels"]["io.funai.image"].rpartition(":")[2].split("-")[0][1:])
        self.found.releases[headers.get("x-app-release", ""), number] += 1
        if number < oldest:
            self.found.wrong.append(f"{time.time():.3f} version {number} after {oldest} succeeded")
        if is_failing(number, self._fails):
            self.found.wrong.append(f"{time.time():.3f} version {number}, whose deploy fails")
        sent = self.found.requests
        if sent % 2 == 0 and said["received"] != sent % 500:
            self.found.failed.append(f"{time.time():.3f} {said['received']} bytes arrived")


def is_failing(number: int, every: int) -> bool:
    """Tell whether this redeploy fails on purpose."""
    return number % every == every // 2


def main() -> None:
    file, port, path, connections, first_slot, fails = sys.argv[1:]
    board = Board(Path(file))
    clients = [
        Connection(int(port), path, board, int(first_slot) + number, int(fails))
        for number in range(int(connections))
    ]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [client.found for client in clients]
    releases: Counter[tuple[str, int]] = sum((one.releases for one in found), Counter())
    failed = [text for one in found for text in one.failed]
    wrong = [text for one in found for text in one.wrong]
    printed = {
        "requests": sum(one.requests for one in found),
        "posts": sum(one.posts for one in found),
        "failed": len(failed),
        "wrong": len(wrong),
        "failures": failed[:_KEPT],
        "wrongs": wrong[:_KEPT],
        "seconds": sorted(second for one in found for second in one.seconds),
        "releases": [[release, number, count] for (release, number), count in releases.items()],
    }
    sys.stdout.write(json.dumps(printed))


if __name__ == "__main__":
    main()
