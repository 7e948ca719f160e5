"""A real MariaDB of the tests' own: a server in a folder, on loopback, ended by its process id."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pymysql

from tests.integration.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 60
ROOT_PASSWORD = "integration-root-password"


def program(name: str) -> str:
    """Return the path of a program of Debian's mariadb-server package."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        msg = f"{name} is not installed: apt-get install mariadb-server"
        raise RuntimeError(msg)
    return path


class MariaDb:
    """One server. ``start`` and ``kill`` may alternate; the data stays.

    :param options: of the server, beside those that every test needs
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._options = options
        self._folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make the data folder, with a root account that has a password and comes by TCP."""
        subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--datadir={self._data}",
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("mariadbd"),
                    "--no-defaults",
                    "--user=root",
                    f"--datadir={self._data}",
                    f"--socket={self._folder / 'server.sock'}",
                    f"--pid-file={self._folder / 'server.pid'}",
                    "--bind-address=127.0.0.1",
                    f"--port={self.port}",
                    "--skip-name-resolve",
                    "--innodb-buffer-pool-size=32M",
                    "--innodb-flush-log-at-trx-commit=1",
                    "--character-set-server=utf8mb4",
                    *self._options,
                ],
                stdout=log,
                stderr=log,
            )
        self._wait()

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server in order."""
        self._end(signal.SIGTERM)

    def connect(self, schema: str | None = None, **options: Any) -> pymysql.Connection[Any]:
        """Return a connection of root's over the server's socket file; autocommit is on."""
        return pymysql.connect(
            unix_socket=str(self._folder / "server.sock"),
            user="root",
            database=schema,
            autocommit=True,
            # No TLS through a socket file: the driver would load the system's CAs each time.
            ssl_disabled=True,
            **options,
        )

    def execute(self, *statements: str, schema: str | None = None) -> None:
        """Run statements as root."""
        connection = self.connect(schema)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def rows(self, query: str, *args: object, schema: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query as root."""
        connection = self.connect(schema, cursorclass=pymysql.cursors.DictCursor)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, args)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def dump(self, schema: str) -> bytes:
        """Return what a backup of the schema is: statements that make it anew."""
        return self._client("mariadb-dump", "--single-transaction", schema)

    def restore(self, schema: str, dump: bytes) -> None:
        """Put the dumped tables in place of those that are there."""
        self._client("mariadb", schema, stdin=dump)

    def _client(self, name: str, *arguments: str, stdin: bytes | None = None) -> bytes:
        socket_file = f"--socket={self._folder / 'server.sock'}"
        return subprocess.run(
            [program(name), "--no-defaults", "--user=root", socket_file, *arguments],
            input=stdin,
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while True:
            try:
                # The driver leaves its socket open where nobody listens yet: ask with one of ours first.
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self._folder / "server.sock"))
                self.connect().close()
            except (OSError, pymysql.err.OperationalError):
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self._folder / "server.log").read_text(errors="replace")[-2000:]
                    msg = f"mariadbd did not start:\n{log}"
                    raise RuntimeError(msg) from None
                pause.wait(0.05)
            else:
                return
