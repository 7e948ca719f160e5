"""Rows of the state file: how they are read and written inside a transaction."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps import settings_rows
from funai.runtime_agent.apps.model import App, AppState, KeptImage, Operation, Phase, Warm

if TYPE_CHECKING:
    import ipaddress
    import sqlite3
    from collections.abc import Callable, Collection, Iterable

_LOG = logging.getLogger(__name__)
#: Phases in which nothing is left to do.
ENDED = (Phase.DONE, Phase.UNDONE)
_APP_COLUMNS = tuple(App.__dataclass_fields__)
_OPERATION_COLUMNS = tuple(Operation.__dataclass_fields__)
_IMAGE_COLUMNS = tuple(KeptImage.__dataclass_fields__)


def read_app(connection: sqlite3.Connection, app_id: str) -> App:
    """Return the app; one that was never here is NEW."""
    row = connection.execute("SELECT * FROM app WHERE app_id = ?", (app_id,)).fetchone()
    return App(app_id) if row is None else app_of(row)


def read_warm(connection: sqlite3.Connection, app_id: str) -> Warm | None:
    """Return the app's warm container."""
    row = connection.execute("SELECT * FROM warm WHERE app_id = ?", (app_id,)).fetchone()
    return None if row is None else Warm(**row)


def write_warm(connection: sqlite3.Connection, app: App, until: float) -> None:
    """Make the container that serves the app until now its warm one."""
    _insert(
        connection,
        "warm",
        {
            "app_id": app.app_id,
            "container_name": app.container_name,
            "address": app.address,
            "port": app.port,
            "user_id": app.user_id,
            "image_digest": app.image_digest,
            "image_id": app.image_id,
            "release": app.release,
            "health_path": app.health_path,
            "until": until,
            "settings": app.settings,
        },
    )


def app_of(row: sqlite3.Row) -> App:
    """Return the app of a row."""
    values = {column: row[column] for column in _APP_COLUMNS}
    values["state"] = AppState(values["state"])
    values["answer"] = json.loads(values["answer"])
    return App(**values)


def write_app(connection: sqlite3.Connection, app: App) -> None:
    """Write the whole row."""
    values = {column: getattr(app, column) for column in _APP_COLUMNS}
    values["answer"] = json.dumps(app.answer)
    _insert(connection, "app", {**values, "seal": _seal(values)}, verb="REPLACE")


def _seal(values: dict[str, Any]) -> str:
    """Return the checksum that a row of the app table carries: SQLite itself has none."""
    # Rows of an agent that knew no settings were sealed without them.
    columns = [name for name in _APP_COLUMNS if name != "settings" or values[name]]
    text = json.dumps([str(values[column]) for column in columns])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(connection: sqlite3.Connection) -> None:
    """Take out rows in which a bit flipped; what they said comes back from the containers' labels.

    The highest fence of the app's journal entries stays: labels may know less.
    """
    for row in connection.execute("SELECT rowid AS number, * FROM operation").fetchall():
        if not _reads(_operation_of, row):
            _LOG.error("journal entry %s is damaged and dropped", row["id"])
            connection.execute("DELETE FROM operation WHERE rowid = ?", (row["number"],))
    for row in connection.execute("SELECT rowid AS number, * FROM app").fetchall():
        values = {column: row[column] for column in _APP_COLUMNS}
        if _reads(app_of, row) and row["seal"] in {"", _seal(values)}:
            continue
        _LOG.error("the record of app %s is damaged and dropped", row["app_id"])
        connection.execute("DELETE FROM app WHERE rowid = ?", (row["number"],))
        fence = connection.execute(
            "SELECT MAX(fence) FROM operation WHERE app_id = ?", (row["app_id"],)
        ).fetchone()[0]
        if fence is not None:
            write_app(connection, App(row["app_id"], max_fence=fence))


def _reads(read: Callable[[sqlite3.Row], object], row: sqlite3.Row) -> bool:
    try:
        read(row)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _insert(
    connection: sqlite3.Connection, table: str, values: dict[str, Any], verb: str = "INSERT"
) -> int:
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    # Table and columns come from this module's dataclasses, values are bound.
    statement = f"{verb} INTO {table} ({columns}) VALUES ({marks})"
    return connection.execute(statement, tuple(values.values())).lastrowid or 0


def open_entry(connection: sqlite3.Connection, operation: Operation, *, pulled: bool) -> Operation:
    """Write a journal entry and its image; return it with its number."""
    values = _operation_values(operation)
    del values["id"]
    _keep_image(connection, operation, pulled=pulled)
    now = time.time()
    values |= {"created_at": now, "updated_at": now}
    return replace(operation, id=_insert(connection, "operation", values))


def operations(connection: sqlite3.Connection, phases: Iterable[Phase]) -> list[Operation]:
    """Return the journal's entries in the phases, oldest first."""
    return [
        _operation_of(row)
        for phase in phases
        for row in connection.execute(
            "SELECT * FROM operation WHERE phase = ? ORDER BY id", (phase,)
        )
    ]


def image_of(row: sqlite3.Row) -> KeptImage:
    """Return the image of a row."""
    values = {column: row[column] for column in _IMAGE_COLUMNS}
    values["pulled"] = bool(values["pulled"])
    return KeptImage(**values)


def _operation_of(row: sqlite3.Row) -> Operation:
    values = {column: row[column] for column in _OPERATION_COLUMNS}
    values["reused"] = bool(values["reused"])
    values["phase"] = Phase(values["phase"])
    values["replaced"] = tuple((name, address) for name, address in json.loads(values["replaced"]))
    return Operation(**values)


def _operation_values(operation: Operation) -> dict[str, Any]:
    values = {column: getattr(operation, column) for column in _OPERATION_COLUMNS}
    values["replaced"] = json.dumps(operation.replaced)
    return values


def _keep_image(connection: sqlite3.Connection, operation: Operation, *, pulled: bool) -> None:
    connection.execute(
        "INSERT INTO image (app_id, image_id, image_digest, pulled) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (app_id, image_id) DO UPDATE SET"
        " image_digest = excluded.image_digest, pulled = MAX(pulled, excluded.pulled)",
        (operation.app_id, operation.image_id, operation.image_digest, int(pulled)),
    )


def advance(
    connection: sqlite3.Connection, operation: Operation, phase: Phase, reason: str
) -> None:
    """Write the next phase of a journal entry."""
    connection.execute(
        "UPDATE operation SET phase = ?, reason = ?, updated_at = ? WHERE id = ?",
        (phase, reason[:1000], time.time(), operation.id),
    )
    forget_settings(connection, operation.app_id)


def forget_settings(connection: sqlite3.Connection, app_id: str) -> None:
    """Drop the settings of the app that nothing can be made with again."""
    settings_rows.forget_unused(connection, app_id, ENDED, AppState.DELETED)


def take_address(
    connection: sqlite3.Connection, subnet: ipaddress.IPv4Network, taken: Collection[str]
) -> str:
    """Return the next free address after the last one given out.

    Going round instead of taking the lowest keeps an address unused for long after its container
    is gone, so that no late packet finds another app there.

    :param taken: also what a deleted app's container or route still has, where its delete was cut
        short; the row of a deleted app stays for its fence, and holds no address
    """
    used = set(taken)
    found = connection.execute("SELECT address FROM app WHERE state != ?", (AppState.DELETED,))
    used |= {row[0] for row in found}
    used |= {row[0] for row in connection.execute("SELECT address FROM warm")}
    for row in connection.execute(
        "SELECT address, replaced FROM operation WHERE phase NOT IN (?, ?)", ENDED
    ):
        used.add(row["address"])
        used |= {address for _, address in json.loads(row["replaced"])}
    last = connection.execute("SELECT value FROM setting WHERE name = 'last_address'").fetchone()
    # Network, the engine's own address (the first host) and broadcast are not given out.
    count = subnet.num_addresses - 3
    start = int(last[0]) if last else -1
    for step in range(1, count + 1):
        index = (start + step) % count
        address = str(subnet[2 + index])
        if address not in used:
            connection.execute(
                "REPLACE INTO setting (name, value) VALUES ('last_address', ?)", (str(index),)
            )
            return address
    msg = f"all {count} addresses of {subnet} are in use"
    raise LookupError(msg)
