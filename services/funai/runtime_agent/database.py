"""The agent's SQLite file: schema and transactions."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS app (
    app_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    -- the highest fence that any request carried
    max_fence INTEGER NOT NULL DEFAULT 0,
    -- deploys up to this fence are over: they were done, or the app was stopped after them
    closed_fence INTEGER NOT NULL DEFAULT 0,
    -- the fence of what runs
    fence INTEGER NOT NULL DEFAULT 0,
    job_id TEXT NOT NULL DEFAULT '',
    container_name TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    port INTEGER NOT NULL DEFAULT 0,
    image TEXT NOT NULL DEFAULT '',
    image_digest TEXT NOT NULL DEFAULT '',
    image_id TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    phase TEXT NOT NULL,
    container_name TEXT NOT NULL,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    image TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    image_id TEXT NOT NULL,
    -- JSON list of [container name, address] that the new container replaces
    replaced TEXT NOT NULL DEFAULT '[]',
    reason TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS operation_open ON operation (phase, app_id);
CREATE TABLE IF NOT EXISTS image (
    app_id TEXT NOT NULL,
    image_id TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    -- 1 where the agent pulled it: only those may be removed
    pulled INTEGER NOT NULL,
    PRIMARY KEY (app_id, image_id)
);
CREATE TABLE IF NOT EXISTS warm (
    -- one per app: the newest that was replaced
    app_id TEXT PRIMARY KEY,
    container_name TEXT NOT NULL,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    image_id TEXT NOT NULL,
    release TEXT NOT NULL,
    health_path TEXT NOT NULL,
    until REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS app_settings (
    app_id TEXT NOT NULL,
    -- stands for the settings in the other tables
    mark TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (app_id, mark)
);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: Kinds of failure that say nothing of the file's content.
_AROUND = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}
#: Columns that came later: (table, column, declaration). A file of an earlier agent gets them.
_ADDED = (
    # checksum of the row, see apps/rows.py
    ("app", "seal", "TEXT NOT NULL DEFAULT ''"),
    ("app", "release", "TEXT NOT NULL DEFAULT ''"),
    ("app", "health_path", "TEXT NOT NULL DEFAULT '/'"),
    ("operation", "release", "TEXT NOT NULL DEFAULT ''"),
    ("operation", "health_path", "TEXT NOT NULL DEFAULT '/'"),
    # mark of the settings it was given, see app_settings; empty: none
    ("app", "settings", "TEXT NOT NULL DEFAULT ''"),
    ("operation", "settings", "TEXT NOT NULL DEFAULT ''"),
    ("warm", "settings", "TEXT NOT NULL DEFAULT ''"),
    # 1 where the container is a warm one
    ("operation", "reused", "INTEGER NOT NULL DEFAULT 0"),
    # when it last began to serve; 0: it never did
    ("image", "deployed_at", "REAL NOT NULL DEFAULT 0"),
)
#: An earlier agent noted the previous image in the app's row: its order becomes moments of long ago.
_ORDER_OF_EARLIER_IMAGES = """
UPDATE image SET deployed_at = CASE image_id
    WHEN (SELECT image_id FROM app WHERE app.app_id = image.app_id) THEN 2
    WHEN (SELECT previous_image_id FROM app WHERE app.app_id = image.app_id) THEN 1
    ELSE 0 END
"""


class Database:
    """Opens one connection per transaction, so that threads share nothing but the file.

    :param path: file; a damaged one is set aside, because the labels of the running containers
        hold enough to go on
    :param check: looks at the rows before they are used, and puts right what it can
    """

    def __init__(
        self, path: Path, check: Callable[[sqlite3.Connection], None] = lambda _: None
    ) -> None:
        self._path = path
        self._check = check
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            if _is_around(error, path):
                raise
            aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
            _LOG.exception("state file %s is damaged, set aside as %s", path, aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.rename(aside)
            self._prepare()

    def _prepare(self) -> None:
        connection = self._connect()
        try:
            self._read_and_upgrade(connection)
        except BaseException:
            connection.close()
            raise
        # Never used again. While one connection is open the log and its index stay, so that a
        # full disk leaves the file readable: opening the first one would need room.
        self._keeper = connection

    def _read_and_upgrade(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            msg = "integrity_check failed"
            raise sqlite3.DatabaseError(msg)
        connection.executescript(_SCHEMA)
        _upgrade(connection)
        _check_columns(connection)
        connection.execute("BEGIN IMMEDIATE")
        self._check(connection)
        # A flipped bit in the header can make a file that reads well and takes no write.
        connection.execute(
            "REPLACE INTO setting (name, value) VALUES ('opened_at', ?)", (str(time.time()),)
        )
        connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=10, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        # WAL with NORMAL may lose the last commits on power loss; a lost fence is not acceptable.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the file; it waits for no writer."""
        connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that holds the write lock; commit at the end, else roll back."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def _is_around(error: sqlite3.DatabaseError, path: Path) -> bool:
    """Return whether the trouble is around the file, not in it: locked, no room, no permission."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        # A header with a flipped bit claims it as well.
        return not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK)
    if code == sqlite3.SQLITE_IOERR:
        return error.sqlite_errorcode != sqlite3.SQLITE_IOERR_SHORT_READ
    return code in _AROUND


def _upgrade(connection: sqlite3.Connection) -> None:
    """Add what a file of an earlier agent lacks, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    earlier = {row["name"] for row in connection.execute("PRAGMA table_info(app)")}
    for table, column, declaration in _ADDED:
        # Names and declarations are this module's own.
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")
            if table == "image" and "previous_image_id" in earlier:
                connection.execute(_ORDER_OF_EARLIER_IMAGES)
    connection.execute("COMMIT")


def _check_columns(connection: sqlite3.Connection) -> None:
    """Find out whether a flipped bit gave a column another name, which SQLite does not mind.

    :raises sqlite3.DatabaseError: naming what is missing
    """
    model = sqlite3.connect(":memory:", isolation_level=None)
    try:
        model.row_factory = sqlite3.Row
        model.executescript(_SCHEMA)
        _upgrade(model)
        missing = _columns(model) - _columns(connection)
    finally:
        model.close()
    if missing:
        msg = f"columns are missing: {sorted(missing)}"
        raise sqlite3.DatabaseError(msg)


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return {
        (row["tbl"], row["col"])
        for row in connection.execute(
            "SELECT m.name AS tbl, c.name AS col FROM sqlite_schema m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table'"
        )
    }
