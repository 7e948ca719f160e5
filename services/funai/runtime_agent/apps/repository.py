"""The only SQL on apps, the journal and images."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.model import App, AppState, Operation, Phase

if TYPE_CHECKING:
    import ipaddress
    import sqlite3
    from collections.abc import Collection, Iterable

    from funai.runtime_agent.database import Database

_APP_COLUMNS = tuple(App.__dataclass_fields__)
_ENDED = (Phase.DONE, Phase.UNDONE)
_OPERATION_COLUMNS = tuple(Operation.__dataclass_fields__)


class AppRepository:
    """Reads and writes the agent's state, one transaction per method.

    :param subnet: addresses of app containers are taken from it
    """

    def __init__(self, database: Database, subnet: ipaddress.IPv4Network) -> None:
        self._database = database
        self._subnet = subnet

    def get(self, app_id: str) -> App:
        """Return the app; one that was never here is NEW."""
        with self._database.transaction() as connection:
            return _get(connection, app_id)

    def all(self) -> list[App]:
        """Return every app, also the deleted ones."""
        with self._database.transaction() as connection:
            return [_app(row) for row in connection.execute("SELECT * FROM app")]

    def save(self, app: App) -> None:
        """Write the whole row."""
        with self._database.transaction() as connection:
            _save(connection, app)

    def raise_fence(self, app_id: str, fence: int | None) -> App:
        """Admit a request by its fence and keep the fence, durably, before anything is done.

        :raises StaleFenceError: where a newer one was here
        """
        with self._database.transaction() as connection:
            app = _get(connection, app_id)
            app.admit(fence)
            raised = replace(app, max_fence=max(app.max_fence, fence or 0))
            _save(connection, raised)
            return raised

    def prepare(
        self, operation: Operation, taken: Collection[str], *, pulled: bool, number_name: bool
    ) -> Operation:
        """Open a journal entry and take an address for its container.

        :param pulled: whether the agent fetched the image for it
        :param taken: addresses that the engine's network uses already
        :param number_name: append the entry's number to the container's name, which is taken
        """
        with self._database.transaction() as connection:
            address = _take_address(connection, self._subnet, taken)
            values = {**_operation_values(operation), "address": address}
            del values["id"]
            _keep_image(connection, operation, pulled=pulled)
            now = time.time()
            values |= {"created_at": now, "updated_at": now}
            entry = int(_insert(connection, "operation", values))
            name = operation.container_name
            if number_name:
                name = f"{name}.{entry}"
                connection.execute(
                    "UPDATE operation SET container_name = ? WHERE id = ?", (name, entry)
                )
            return replace(operation, id=entry, address=address, container_name=name)

    def advance(self, operation: Operation, phase: Phase, reason: str = "") -> Operation:
        """Write the next phase of a journal entry."""
        with self._database.transaction() as connection:
            _advance(connection, operation, phase, reason)
        return replace(operation, phase=phase)

    def switch(self, operation: Operation, answer: dict[str, Any]) -> Operation:
        """Make the operation's container the app's one: the commit of a deploy."""
        with self._database.transaction() as connection:
            app = _get(connection, operation.app_id)
            previous = app.previous_image_id
            if app.image_id and app.image_id != operation.image_id:
                previous = app.image_id
            switched = replace(
                app,
                user_id=operation.user_id,
                state=AppState.DEPLOYED,
                fence=operation.fence,
                closed_fence=max(app.closed_fence, operation.fence),
                job_id=operation.job_id,
                container_name=operation.container_name,
                address=operation.address,
                port=operation.port,
                image=operation.image,
                image_digest=operation.image_digest,
                image_id=operation.image_id,
                previous_image_id=previous,
                answer=answer,
            )
            _save(connection, switched)
            _advance(connection, operation, Phase.SWITCHED, "")
        return replace(operation, phase=Phase.SWITCHED)

    def open_operations(self, phases: Iterable[Phase]) -> list[Operation]:
        """Return the journal's entries in the phases, oldest first."""
        with self._database.transaction() as connection:
            return [
                _operation(row)
                for phase in phases
                for row in connection.execute(
                    "SELECT * FROM operation WHERE phase = ? ORDER BY id", (phase,)
                )
            ]

    def prune_journal(self, keep: int = 1000) -> None:
        """Forget ended journal entries but the newest."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM operation WHERE phase IN (?, ?) AND id <="
                " (SELECT COALESCE(MAX(id), 0) - ? FROM operation)",
                (*_ENDED, keep),
            )

    def prunable_images(self, app_id: str) -> list[tuple[str, str, bool]]:
        """Return (image id, digest reference, pulled) that no app of this node wants any more."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT image_id, image_digest, pulled FROM image WHERE app_id = ?"
                " AND image_id NOT IN (SELECT image_id FROM app WHERE state != ?)"
                " AND image_id NOT IN (SELECT previous_image_id FROM app WHERE state != ?)"
                " AND image_id NOT IN (SELECT image_id FROM operation WHERE phase NOT IN (?, ?, ?))",
                (app_id, AppState.DELETED, AppState.DELETED, Phase.DRAINED, *_ENDED),
            )
            return [(row["image_id"], row["image_digest"], bool(row["pulled"])) for row in rows]

    def forget_image(self, app_id: str, image_id: str) -> None:
        """Drop an image from the app's history."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM image WHERE app_id = ? AND image_id = ?", (app_id, image_id)
            )


def _get(connection: sqlite3.Connection, app_id: str) -> App:
    row = connection.execute("SELECT * FROM app WHERE app_id = ?", (app_id,)).fetchone()
    return App(app_id) if row is None else _app(row)


def _app(row: sqlite3.Row) -> App:
    values = {column: row[column] for column in _APP_COLUMNS}
    values["state"] = AppState(values["state"])
    values["answer"] = json.loads(values["answer"])
    return App(**values)


def _save(connection: sqlite3.Connection, app: App) -> None:
    values = {column: getattr(app, column) for column in _APP_COLUMNS}
    values["answer"] = json.dumps(app.answer)
    _insert(connection, "app", values, verb="REPLACE")


def _insert(
    connection: sqlite3.Connection, table: str, values: dict[str, Any], verb: str = "INSERT"
) -> int:
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    # Table and columns come from this module's dataclasses, values are bound.
    statement = f"{verb} INTO {table} ({columns}) VALUES ({marks})"
    return connection.execute(statement, tuple(values.values())).lastrowid or 0


def _operation(row: sqlite3.Row) -> Operation:
    values = {column: row[column] for column in _OPERATION_COLUMNS}
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


def _advance(
    connection: sqlite3.Connection, operation: Operation, phase: Phase, reason: str
) -> None:
    connection.execute(
        "UPDATE operation SET phase = ?, reason = ?, updated_at = ? WHERE id = ?",
        (phase, reason[:1000], time.time(), operation.id),
    )


def _take_address(
    connection: sqlite3.Connection, subnet: ipaddress.IPv4Network, taken: Collection[str]
) -> str:
    """Return the next free address after the last one given out.

    Going round instead of taking the lowest keeps an address unused for long after its container
    is gone, so that no late packet finds another app there.
    """
    used = set(taken)
    used |= {row[0] for row in connection.execute("SELECT address FROM app")}
    for row in connection.execute(
        "SELECT address, replaced FROM operation WHERE phase NOT IN (?, ?)", _ENDED
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
