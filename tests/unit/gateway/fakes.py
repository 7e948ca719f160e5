"""A HAProxy that obeys, and a disk that has no room."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

from funai.gateway.map_file import read_map_file
from funai.gateway.runtime_socket import GatewayUnavailableError, RuntimeSocket


class FakeHaproxy(RuntimeSocket):
    """Answers as HAProxy 2.6 does; notes what the file said when each write came."""

    def __init__(self, path: Path) -> None:
        super().__init__(Path("unused"))
        self.path = path
        self.table: dict[str, str] = {}
        self.prepared: dict[str, str] = {}
        self.down = False
        self.deaf = False
        self.writes: list[tuple[str, dict[str, str]]] = []

    def send(self, command: str, payload: str = "") -> str:
        if self.down:
            msg = "down"
            raise GatewayUnavailableError(msg)
        verb = command.split(" ", maxsplit=1)[0]
        if verb == "show":
            return "".join(f"0x1 {key} {value}\n" for key, value in self.table.items())
        self.writes.append((command, read_map_file(self.path)))
        return self._write(verb, command.split(), payload)

    def _write(self, verb: str, words: list[str], payload: str) -> str:
        if verb == "prepare":
            self.prepared = {}
            return "New version created: 3\n"
        if verb == "commit":
            self.table = dict(self.prepared)
        elif payload:
            self.prepared |= dict(line.split() for line in payload.splitlines())
        elif verb == "del":
            self.table.pop(words[3], None)
        elif not self.deaf:
            self.table[words[3]] = words[4]
        return "\n"


def full_disk(*_: object, **__: object) -> NoReturn:
    """Refuse a file, in place of what would make one."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a name that differs each time")
