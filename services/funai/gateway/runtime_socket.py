"""HAProxy's runtime API on its UNIX socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES = 65536


class GatewayError(Exception):
    """The gateway did not do what it was told."""


class GatewayUnavailableError(GatewayError):
    """Nobody answers on the gateway's socket, or this process may not use it."""


class GatewayRefusedError(GatewayError):
    """The gateway answered a command with an error."""


class RuntimeSocket:
    """Sends commands to a running HAProxy, one connection each.

    :param path: the ``stats socket`` of HAProxy's configuration, level admin
    :param timeout_seconds: for connecting and for each read
    """

    def __init__(self, path: Path, timeout_seconds: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout_seconds

    def send(self, command: str, payload: str = "") -> str:
        """Return HAProxy's answer to one command.

        :param payload: lines for a command that ends in ``<<``
        :raises GatewayUnavailableError: where HAProxy cannot be reached
        """
        text = f"{command}\n{payload}\n" if payload else f"{command}\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout)
                connection.connect(str(self._path))
                connection.sendall(text.encode("ascii"))
                return _read_all(connection).decode("utf-8", "replace")
        except OSError as exc:
            msg = f"HAProxy does not answer on {self._path}: {exc.strerror or exc}"
            raise GatewayUnavailableError(msg) from exc

    def expect_silence(self, command: str, payload: str = "") -> None:
        """Send a command that answers nothing when it worked.

        :raises GatewayRefusedError: with HAProxy's words
        """
        answer = self.send(command, payload).strip()
        if answer:
            msg = f"HAProxy refused {command.split(' ', 2)[:2]}: {answer[:200]}"
            raise GatewayRefusedError(msg)


def _read_all(connection: socket.socket) -> bytes:
    chunks: list[bytes] = []
    while chunk := connection.recv(_CHUNK_BYTES):
        chunks.append(chunk)
    return b"".join(chunks)
