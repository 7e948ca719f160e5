"""Follows Deploy's table into the edge's map, and heals the map."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from funai.gateway.routes import InvalidRouteError
from funai.gateway.runtime_socket import GatewayError
from funai.gateway_sync.client import DeployUnreachableError
from funai.gateway_sync.table import InvalidTableError, Table, describe_change, read_answer

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Sequence

    from funai.gateway.haproxy_map import HaproxyMap
    from funai.gateway_sync.client import RouteClient
    from funai.gateway_sync.store import TableStore

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_SHORTEST_POLL_SECONDS = 0.05
# So often the whole table is asked for, in case Deploy's version went back (a restored database).
_POLLS_PER_FULL_READ = 20


class Sync:
    """Two loops over one table: ``follow`` changes it, ``heal`` compares the gateway with it."""

    def __init__(
        self,
        client: RouteClient,
        routes: HaproxyMap,
        store: TableStore,
        allowed: Sequence[ipaddress.IPv4Network] = (),
    ) -> None:
        self._client = client
        self._routes = routes
        self._store = store
        self._allowed = tuple(allowed)
        self._lock = threading.Lock()
        self._known: Table | None = None
        #: What the store gives back after a restart.
        self._stored: Table | None = None
        self._trouble: dict[str, str] = {}

    def restore(self) -> None:
        """Load the last known table, or adopt what the map file holds, before Deploy is asked."""
        self._known = self._store.load() or Table(0, self._routes.saved())
        # What was adopted is not Deploy's word: the map file goes on keeping it.
        self._stored = self._known
        _LOG.info("%d routes known at version %d", len(self._known.routes), self._known.version)
        self.heal_once()

    def follow(self, stop: threading.Event, wait_seconds: int) -> None:
        """Ask Deploy for newer tables until told to stop."""
        polls = 0
        while not stop.is_set():
            began = time.monotonic()
            full = polls % _POLLS_PER_FULL_READ == 0
            polls = polls + 1 if self.follow_once(wait_seconds, full=full) else 0
            # After a failure, and with a Deploy that does not wait, no busy loop.
            if polls == 0 or (not full and time.monotonic() - began < _SHORTEST_POLL_SECONDS):
                stop.wait(_RETRY_SECONDS)

    def follow_once(self, wait_seconds: int, *, full: bool) -> bool:
        """Ask once and take over what came; return whether Deploy answered as it should.

        :param full: ask for the whole table, newer or not
        """
        known = self._table()
        since, wait = (0, 0) if full else (known.version, wait_seconds)
        try:
            body = self._client.routes(since, wait)
            reading = read_answer(body, known, self._allowed)
        except (DeployUnreachableError, InvalidTableError) as error:
            self._report("deploy", str(error))
            return False
        self._report("deploy", "")
        if reading is not None:
            self._report("routes", "; ".join(reading.complaints))
            self._take_over(reading.table)
        return True

    def heal(self, stop: threading.Event, interval_seconds: float) -> None:
        """Compare the gateway with the table every few seconds until told to stop."""
        while not stop.wait(interval_seconds):
            self.heal_once()

    def heal_once(self) -> None:
        """Make store, file and gateway be the table where they are not."""
        with self._lock:
            self._keep()
            self._apply()

    def _take_over(self, table: Table) -> None:
        with self._lock:
            known = self._table()
            if table == known:
                return
            for line in describe_change(known.routes, table.routes):
                _LOG.info("version %d: %s", table.version, line)
            self._known = table
            self._keep()
            self._apply()

    def _keep(self) -> None:
        """Store the table unless it is; where that fails, it is followed all the same."""
        known = self._table()
        try:
            if known != self._stored:
                self._store.save(known)
        except OSError as error:
            self._report("store", f"the table cannot be stored: {error.strerror or error}")
        else:
            self._stored = known
            self._report("store", "")

    def _apply(self) -> None:
        wanted = self._table().routes
        try:
            self._say_where_changed(wanted)
            # Deploy removes a moved app's old container soon, whatever this host's disk takes.
            self._routes.replace(wanted, even_unsaved=True)
        except (GatewayError, InvalidRouteError, OSError) as error:
            self._report("gateway", str(error))
        else:
            self._report("gateway", "")

    def _say_where_changed(self, wanted: dict[str, str]) -> None:
        """Log that somebody else changed the gateway's map; what fails here fails again after it."""
        with contextlib.suppress(GatewayError, OSError):
            if self._routes.live() != wanted and self._routes.saved() == wanted:
                _LOG.warning("the gateway's map differs from the table, putting it right")

    def _table(self) -> Table:
        return self._known or Table(0, {})

    def _report(self, subject: str, error: str) -> None:
        before = self._trouble.get(subject)
        if error and error != before:
            _LOG.warning("%s", error)
        elif before and not error:
            _LOG.info("%s works again", subject)
        self._trouble[subject] = error
