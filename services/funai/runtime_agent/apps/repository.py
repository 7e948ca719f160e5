"""The only SQL on apps, the journal and images."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps import rows, settings_rows
from funai.runtime_agent.apps.model import (
    AFTER_SWITCH,
    BEFORE_SWITCH,
    App,
    AppState,
    KeptImage,
    Operation,
    Phase,
    Warm,
)

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Collection, Iterable

    from funai.runtime_agent.database import Database


class AppRepository:
    """Reads and writes the agent's state, one transaction per method.

    :param subnet: addresses of app containers are taken from it
    """

    def __init__(self, database: Database, subnet: ipaddress.IPv4Network) -> None:
        self._database = database
        self._subnet = subnet

    def get(self, app_id: str) -> App:
        """Return the app; one that was never here is NEW."""
        with self._database.reading() as connection:
            return rows.read_app(connection, app_id)

    def all(self) -> list[App]:
        """Return every app, also the deleted ones."""
        with self._database.reading() as connection:
            return [rows.app_of(row) for row in connection.execute("SELECT * FROM app")]

    def save(self, app: App) -> None:
        """Write the whole row."""
        with self._database.transaction() as connection:
            rows.write_app(connection, app)

    def raise_fence(self, app_id: str, fence: int | None) -> App:
        """Admit a request by its fence and keep the fence, durably, before anything is done.

        :raises StaleFenceError: where a newer one was here
        """
        with self._database.transaction() as connection:
            app = rows.read_app(connection, app_id)
            app.admit(fence)
            raised = replace(app, max_fence=max(app.max_fence, fence or 0))
            rows.write_app(connection, raised)
            return raised

    def prepare(
        self,
        operation: Operation,
        taken: Collection[str],
        *,
        pulled: bool,
        number_name: bool,
        sealed: bytes = b"",
    ) -> Operation:
        """Open a journal entry and take an address for its container.

        :param pulled: whether the agent fetched the image for it
        :param taken: addresses that the engine's network, or a route, uses already
        :param sealed: the settings of its container
        :param number_name: append the entry's number to the container's name, which is taken
        """
        with self._database.transaction() as connection:
            address = rows.take_address(connection, self._subnet, taken)
            prepared = rows.open_entry(
                connection, replace(operation, address=address), pulled=pulled
            )
            settings_rows.keep(connection, operation.app_id, operation.settings, sealed)
            if number_name:
                name = f"{prepared.container_name}.{prepared.id}"
                prepared = replace(prepared, container_name=name)
                connection.execute(
                    "UPDATE operation SET container_name = ? WHERE id = ?", (name, prepared.id)
                )
            return prepared

    def prepare_reuse(self, operation: Operation, sealed: bytes = b"") -> Operation | None:
        """Open a journal entry for the app's warm container; None where that is gone by now."""
        with self._database.transaction() as connection:
            warm = rows.read_warm(connection, operation.app_id)
            if warm is None or warm.container_name != operation.container_name:
                return None
            settings_rows.keep(connection, operation.app_id, operation.settings, sealed)
            return rows.open_entry(connection, operation, pulled=False)

    def advance(self, operation: Operation, phase: Phase, reason: str = "") -> Operation:
        """Write the next phase of a journal entry."""
        with self._database.transaction() as connection:
            rows.advance(connection, operation, phase, reason)
        return replace(operation, phase=phase)

    def switch(
        self, operation: Operation, answer: dict[str, Any], warm_seconds: float
    ) -> Operation:
        """Make the operation's container the app's one: the commit of a deploy.

        :param warm_seconds: how long the container that served until now stays warm, from now on
        """
        with self._database.transaction() as connection:
            app = rows.read_app(connection, operation.app_id)
            connection.execute("DELETE FROM warm WHERE app_id = ?", (app.app_id,))
            if warm_seconds > 0 and _is_replaced(app, operation):
                rows.write_warm(connection, app, time.time() + warm_seconds)
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
                answer=answer,
                release=operation.release,
                health_path=operation.health_path,
                settings=operation.settings,
            )
            rows.write_app(connection, switched)
            connection.execute(
                "UPDATE image SET deployed_at = ? WHERE app_id = ? AND image_id = ?",
                (time.time(), operation.app_id, operation.image_id),
            )
            rows.advance(connection, operation, Phase.SWITCHED, "")
        return replace(operation, phase=Phase.SWITCHED)

    def move(self, app_id: str, taken: Collection[str]) -> App:
        """Give the app another address, because its own is somebody else's now."""
        with self._database.transaction() as connection:
            app = rows.read_app(connection, app_id)
            moved = replace(app, address=rows.take_address(connection, self._subnet, taken))
            rows.write_app(connection, moved)
            return moved

    def decide(self, app: App) -> None:
        """Record what an app should be from now on, and that it keeps no warm container."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM warm WHERE app_id = ?", (app.app_id,))
            rows.write_app(connection, app)
            rows.forget_settings(connection, app.app_id)

    def keep_settings(self, app_id: str, mark: str, sealed: bytes) -> None:
        """Keep the settings of an app that was found, not deployed."""
        with self._database.transaction() as connection:
            settings_rows.keep(connection, app_id, mark, sealed)

    def sealed_settings(self, app_id: str, mark: str) -> bytes | None:
        """Return settings that a container was given."""
        with self._database.reading() as connection:
            return settings_rows.read(connection, app_id, mark)

    def warm(self, app_id: str) -> Warm | None:
        """Return the app's warm container."""
        with self._database.reading() as connection:
            return rows.read_warm(connection, app_id)

    def all_warm(self) -> list[Warm]:
        """Return every warm container."""
        with self._database.reading() as connection:
            return [Warm(**row) for row in connection.execute("SELECT * FROM warm")]

    def shorten_warm(self, until: float) -> None:
        """Let nothing stay warm for longer than until then.

        A setting that was lowered, or a clock that was put back, counts from then on.
        """
        with self._database.transaction() as connection:
            connection.execute("UPDATE warm SET until = ? WHERE until > ?", (until, until))

    def forget_warm(self, warm: Warm) -> bool:
        """Give a warm container up, where no deploy is about to use it and it serves no request.

        :return: whether it is nobody's now
        """
        with self._database.transaction() as connection:
            coming = rows.operations(connection, BEFORE_SWITCH)
            names = {operation.container_name for operation in coming}
            for operation in rows.operations(connection, [Phase.SWITCHED]):
                names |= {name for name, _ in operation.replaced}
            if warm.container_name in names:
                return False
            found = connection.execute(
                "DELETE FROM warm WHERE app_id = ? AND container_name = ? AND until = ?",
                (warm.app_id, warm.container_name, warm.until),
            )
            return found.rowcount == 1

    def drained(self, operation: Operation) -> list[str]:
        """Return which of the containers that a deploy replaced are nobody's now.

        Meanwhile one may stay warm, serve again, or be drained by a later deploy as well.
        """
        with self._database.reading() as connection:
            later = [
                entry
                for entry in rows.operations(connection, (*BEFORE_SWITCH, Phase.SWITCHED))
                if entry.id > operation.id
            ]
            kept = {name for entry in later for name, _ in entry.replaced}
            kept |= {entry.container_name for entry in later}
            app = rows.read_app(connection, operation.app_id)
            warm = rows.read_warm(connection, operation.app_id)
            if app.state is not AppState.DELETED:
                kept.add(app.container_name)
            if warm is not None:
                kept.add(warm.container_name)
            return [name for name, _ in operation.replaced if name not in kept]

    def wanted(self) -> dict[str, str]:
        """Return every container that must stay, by name, and why."""
        with self._database.reading() as connection:
            wanted: dict[str, str] = {}
            for operation in rows.operations(connection, (*BEFORE_SWITCH, *AFTER_SWITCH)):
                wanted[operation.container_name] = f"a deploy of app {operation.app_id} needs it"
                for name, _ in operation.replaced:
                    wanted[name] = f"it finishes requests of app {operation.app_id}"
            for row in connection.execute("SELECT app_id, container_name FROM warm"):
                wanted[row["container_name"]] = f"it is kept warm for app {row['app_id']}"
            for row in connection.execute(
                "SELECT app_id, container_name, state FROM app WHERE state IN (?, ?)",
                (AppState.DEPLOYED, AppState.STOPPED),
            ):
                state = "runs" if row["state"] == AppState.DEPLOYED else "is stopped as"
                wanted[row["container_name"]] = f"it {state} app {row['app_id']}"
            return wanted

    def open_operations(self, phases: Iterable[Phase]) -> list[Operation]:
        """Return the journal's entries in the phases, oldest first."""
        with self._database.reading() as connection:
            return rows.operations(connection, phases)

    def is_overtaken(self, operation: Operation) -> bool:
        """Tell whether a later deploy of the app has come to its switch."""
        switched = (*AFTER_SWITCH, Phase.DONE)
        marks = ", ".join("?" * len(switched))
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT 1 FROM operation WHERE app_id = ? AND id > ? AND phase IN ({marks})",  # noqa: S608
                (operation.app_id, operation.id, *switched),
            )
            return found.fetchone() is not None

    def prune_journal(self, keep: int = 1000) -> None:
        """Forget ended journal entries but the newest."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM operation WHERE phase IN (?, ?) AND id <="
                " (SELECT COALESCE(MAX(id), 0) - ? FROM operation)",
                (*rows.ENDED, keep),
            )

    def images(self) -> list[KeptImage]:
        """Return the history of every app's images, newest first."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT * FROM image ORDER BY deployed_at DESC, rowid DESC")
            return [rows.image_of(row) for row in found]

    def images_in_use(self) -> dict[str, str]:
        """Return the ids of the images that containers of the record need, and why."""
        with self._database.reading() as connection:
            used = {
                operation.image_id: f"a deploy of app {operation.app_id} needs it"
                for operation in rows.operations(connection, (*BEFORE_SWITCH, Phase.SWITCHED))
            }
            for row in connection.execute("SELECT app_id, image_id FROM warm"):
                used[row["image_id"]] = f"the warm container of app {row['app_id']} needs it"
            for row in connection.execute(
                "SELECT app_id, image_id FROM app WHERE state != ?", (AppState.DELETED,)
            ):
                used[row["image_id"]] = f"it is the image of app {row['app_id']}"
            return used

    def forget_image(self, app_id: str, image_id: str) -> None:
        """Drop an image from the app's history."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM image WHERE app_id = ? AND image_id = ?", (app_id, image_id)
            )


def _is_replaced(app: App, operation: Operation) -> bool:
    """Return whether the container that serves until now is one that the deploy replaces."""
    names = {name for name, _ in operation.replaced}
    return app.state is AppState.DEPLOYED and app.container_name in names
