"""A way to the database that loses the answer to one COMMIT, though the database has done it."""

from __future__ import annotations

import socket
import threading

_HEADER = 4
_COM_QUERY = 3
_INSERT = b"INSERT INTO fun_ai_deploy_job "


class CommitProxy:
    """Passes everything on. Armed, it cuts the connection that committed a job, once."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.armed = threading.Event()
        self.has_cut = threading.Event()
        self._links: list[_Link] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Take no more connections and cut those that are there."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                # The database is away: what it would not take, this does not take either.
                client.close()
                continue
            self._links.append(_Link(self, client, server))


class _Link:
    """One connection of a client's."""

    def __init__(self, proxy: CommitProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._inserted = False
        self._is_cut = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._requests, self._answers)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._end()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _requests(self) -> None:
        try:
            while packet := _read_packet(self._client):
                self._look(packet[_HEADER:])
                self._server.sendall(packet)
        except OSError:
            pass
        self._end()

    def _look(self, payload: bytes) -> None:
        if payload[:1] != bytes([_COM_QUERY]):
            return
        self._inserted = self._inserted or _INSERT in payload
        if payload[1:].strip().upper() == b"COMMIT":
            if self._inserted and self._proxy.armed.is_set():
                self._proxy.armed.clear()
                self._is_cut.set()
            self._inserted = False

    def _answers(self) -> None:
        try:
            while data := self._server.recv(65_536):
                # The database answers a COMMIT when it has done it.
                if self._is_cut.is_set():
                    self._proxy.has_cut.set()
                    break
                self._client.sendall(data)
        except OSError:
            pass
        self._end()

    def _end(self) -> None:
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _read_packet(source: socket.socket) -> bytes:
    """Return one packet of the database's protocol, with its header; nothing at the end."""
    header = _read(source, _HEADER)
    if len(header) < _HEADER:
        return b""
    return header + _read(source, int.from_bytes(header[:3], "little"))


def _read(source: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = source.recv(count - len(found))
        if not part:
            return b""
        found += part
    return found
