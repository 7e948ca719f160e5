"""One HAProxy map in its two places: the file that survives a restart, and the running process."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from funai.gateway.map_file import read_map_file, remove_leftovers, write_map_file
from funai.gateway.routes import check_app_id, check_route, render_table
from funai.gateway.runtime_socket import GatewayError, GatewayRefusedError

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from funai.gateway.runtime_socket import RuntimeSocket

# HAProxy takes a payload into one buffer (tune.bufsize, 16 KiB by default).
_PAYLOAD_BYTES = 8000


class UnsavedError(GatewayError):
    """The running process has the routes, but its file has not: the next start brings older ones."""


class HaproxyMap:
    """Routes of a gateway: file first, then the running process, then a look whether it took.

    A route that HAProxy could not be told is in the file all the same, so that the next start or
    the next reconcile brings it. One that the file could not take, HAProxy is not told: its next
    start would take the route back. Only :meth:`replace` can be asked to tell it all the same.

    :param path: map file, and the map's name in HAProxy's runtime API
    :param allowed: networks that addresses must lie in, see ``check_route``
    """

    def __init__(
        self,
        path: Path,
        runtime: RuntimeSocket,
        allowed: Sequence[ipaddress.IPv4Network] = (),
    ) -> None:
        self._path = path
        self._runtime = runtime
        self._allowed = tuple(allowed)
        self._lock = threading.RLock()

    @property
    def runtime(self) -> RuntimeSocket:
        """The running process."""
        return self._runtime

    def take_over(self) -> None:
        """Remove what a killed process left beside the file; called before the first write."""
        with self._lock:
            remove_leftovers(self._path)

    def saved(self) -> dict[str, str]:
        """Return the file's routes."""
        with self._lock:
            return read_map_file(self._path)

    def live(self) -> dict[str, str]:
        """Return the routes that the running process uses.

        :raises GatewayError: where it cannot be asked, or has no such map
        """
        answer = self._runtime.send(f"show map {self._path}")
        table: dict[str, str] = {}
        for line in answer.splitlines():
            fields = line.split()
            if not fields:
                continue
            if not fields[0].startswith("0x"):
                msg = f"HAProxy has no map {self._path}: {answer.strip()[:200]}"
                raise GatewayRefusedError(msg)
            # The first of two equal keys is the one that a lookup finds.
            table.setdefault(fields[1], fields[2] if len(fields) > 2 else "")  # noqa: PLR2004
        return table

    def set(self, app_id: str, route: str) -> None:
        """Serve the app at ``ipv4:port``, or ``ipv4:port/release``.

        :raises InvalidRouteError: before anything is written
        :raises GatewayError: where the running process does not have it now
        """
        check_app_id(app_id)
        route = check_route(route, self._allowed)
        with self._lock:
            self._save(app_id, route)
            live = self.live()
            if live.get(app_id) != route:
                verb = "set" if app_id in live else "add"
                self._runtime.expect_silence(f"{verb} map {self._path} {app_id} {route}")
                self._verify(app_id, route)

    def delete(self, app_id: str) -> None:
        """Serve the app no more; an app that is not in the map is fine."""
        check_app_id(app_id)
        with self._lock:
            self._save(app_id, None)
            if app_id in self.live():
                self._runtime.expect_silence(f"del map {self._path} {app_id}")
                self._verify(app_id, None)

    def replace(self, table: dict[str, str], *, even_unsaved: bool = False) -> None:
        """Make the whole map be the table, at once for every request that HAProxy serves.

        :param even_unsaved: tell the running process also what the file cannot take; only for a
            copy of somebody else's table, who acts upon it and does not wait for this file
        :raises UnsavedError: where only the file is not as it should be, when asked to go on
        """
        checked = {
            check_app_id(app_id): check_route(route, self._allowed)
            for app_id, route in table.items()
        }
        with self._lock:
            unsaved: OSError | None = None
            try:
                self._save_all(checked)
            except OSError as error:
                if not even_unsaved:
                    raise
                unsaved = error
            if self.live() != checked:
                self._replace_live(checked)
        if unsaved is not None:
            msg = f"{self._path} cannot be brought up to date: {unsaved.strerror or unsaved}"
            raise UnsavedError(msg) from unsaved

    def _save_all(self, table: dict[str, str]) -> None:
        if read_map_file(self._path) != table or not self._path.exists():
            write_map_file(self._path, table)

    def _save(self, app_id: str, route: str | None) -> None:
        table = read_map_file(self._path)
        if table.get(app_id) == route:
            return
        if route is None:
            del table[app_id]
        else:
            table[app_id] = route
        write_map_file(self._path, table)

    def _replace_live(self, table: dict[str, str]) -> None:
        answer = self._runtime.send(f"prepare map {self._path}")
        match = re.match(r"New version created: (\d+)", answer.strip())
        if match is None:
            msg = f"HAProxy refused to prepare {self._path}: {answer.strip()[:200]}"
            raise GatewayRefusedError(msg)
        version = match[1]
        for payload in _payloads(table):
            self._runtime.expect_silence(f"add map @{version} {self._path} <<", payload)
        self._runtime.expect_silence(f"commit map @{version} {self._path}")
        live = self.live()
        if live != table:
            msg = f"HAProxy holds {len(live)} routes after a replace by {len(table)}"
            raise GatewayRefusedError(msg)

    def _verify(self, app_id: str, route: str | None) -> None:
        seen = self.live().get(app_id)
        if seen != route:
            msg = f"HAProxy says {seen} for {app_id} after it was told {route}"
            raise GatewayRefusedError(msg)


def _payloads(table: dict[str, str]) -> Iterator[str]:
    payload = ""
    for line in render_table(table).splitlines(keepends=True):
        if len(payload) + len(line) > _PAYLOAD_BYTES:
            yield payload
            payload = ""
        payload += line
    if payload:
        yield payload
