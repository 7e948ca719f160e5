"""An SSH server on loopback that runs what it is sent, with a ``systemctl`` of the test's own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import paramiko
from paramiko.common import cMSG_CHANNEL_SUCCESS

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60


class _Door(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    """Lets one key in and notes the command."""

    def __init__(self, key: paramiko.PKey) -> None:
        self._key = key
        self.command: str | None = None

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == "operator" and key == self._key
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.command = command.decode()
        return True


class _Transport(paramiko.Transport):  # type: ignore[misc]  # paramiko has no types
    """Tells when the client knows that its command is run."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.has_confirmed = threading.Event()

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if data.asbytes()[:1] == cMSG_CHANNEL_SUCCESS:
            self.has_confirmed.set()


class SshServer:
    """Serves until it is closed.

    :param folder: for its keys; ``programs`` below it comes first in the path of commands
    """

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.key_file = folder / "key"
        self.known_hosts = folder / "known_hosts"
        client = paramiko.ECDSAKey.generate()
        client.write_private_key_file(str(self.key_file))
        self._client = client
        self._own = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        name = f"[127.0.0.1]:{self.port}"
        self.known_hosts.write_text(f"{name} {self._own.get_name()} {self._own.get_base64()}\n")
        threading.Thread(target=self._serve, name="sshd", daemon=True).start()

    def program(self, name: str, script: str) -> None:
        """Put a program of the host's in place."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        transport = _Transport(connection)
        transport.add_server_key(self._own)
        door = _Door(self._client)
        try:
            transport.start_server(server=door)
            channel = transport.accept(SECONDS)
            # Whoever ends a channel before that has refused the command, as its client sees it.
            if channel is None or not transport.has_confirmed.wait(SECONDS) or not door.command:
                return
            path = f"{self.programs}:{os.environ['PATH']}"
            done = subprocess.run(
                ["/bin/sh", "-c", door.command],
                env={"PATH": path},
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            channel.sendall(done.stdout)
            channel.send_exit_status(done.returncode)
            channel.close()
            # Whoever closes with bytes unread resets the connection, and with it the answer.
            transport.join(SECONDS)
        except (paramiko.SSHException, EOFError, OSError):
            # The other side did not like the host's key, or is done.
            pass
        finally:
            transport.close()
