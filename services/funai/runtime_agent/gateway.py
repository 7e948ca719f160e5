"""The node's gateway as the agent sees it: routes, their confirmation, open sessions."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from funai.gateway.runtime_socket import GatewayError
from funai.runtime_agent.errors import RouteFailedError
from funai.runtime_agent.http_probe import get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.gateway.haproxy_map import HaproxyMap
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.http_probe import Answer

_CONFIRM_SECONDS = 5.0
_PROBE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
_NOT_FOUND = 404


class Gateway:
    """Switches and confirms routes.

    :param routes: the node's HAProxy map
    :param probe_url: where the gateway answers on this node, or empty
    """

    def __init__(self, routes: HaproxyMap, probe_url: str) -> None:
        self._routes = routes
        self._probe_url = probe_url

    def set(self, app_id: str, route: str) -> None:
        """Serve the app at ``ipv4:port``, or ``ipv4:port/release``.

        :raises RouteFailedError: where the running gateway does not have it now
        """
        with _route_errors(f"switch the route of app {app_id} to {route}"):
            self._routes.set(app_id, route)

    def delete(self, app_id: str) -> None:
        """Serve the app no more.

        :raises RouteFailedError: where the running gateway still has it
        """
        with _route_errors(f"remove the route of app {app_id}"):
            self._routes.delete(app_id)

    def replace(self, table: dict[str, str]) -> None:
        """Make the whole map be the table."""
        with _route_errors(f"load {len(table)} routes"):
            self._routes.replace(table)

    def saved(self) -> dict[str, str]:
        """Return the routes of the map file."""
        with _route_errors("read the map file"):
            return self._routes.saved()

    def live(self) -> dict[str, str]:
        """Return the routes that the gateway uses.

        :raises RouteFailedError: where it cannot be asked
        """
        with _route_errors("read the gateway's routes"):
            return self._routes.live()

    def hosts(self) -> list[str]:
        """Return every IPv4 address that a route leads to, in the file or in the gateway.

        One that cannot be asked takes no new route either, so that nothing is lost without it.
        """
        routes = [*self.saved().values()]
        with suppress(RouteFailedError):
            routes += self.live().values()
        return [route.partition(":")[0] for route in routes]

    def confirm(self, app_id: str, health_path: str, direct: Answer, hold: Hold) -> None:
        """Return once the gateway answers for the app.

        A gateway that does not know an app answers 404, which an app may answer as well: 404
        counts only where the app said so itself.

        :param health_path: where the app is asked, as it sees it
        :param direct: what the app answered there without the gateway
        :raises RouteFailedError: with what it answered last
        """
        if not self._probe_url:
            return
        url = f"{self._probe_url}/apps/{app_id}{health_path}"
        deadline = time.monotonic() + _CONFIRM_SECONDS
        while True:
            answer = get(url, _PROBE_SECONDS)
            if answer.ready and (answer.status != _NOT_FOUND or direct.status == _NOT_FOUND):
                return
            hold.check()
            if time.monotonic() > deadline or hold.cancelled.wait(_PAUSE_SECONDS):
                msg = f"the gateway does not serve app {app_id} at {url}"
                raise RouteFailedError(msg, answer.evidence())

    def has_sessions(self, address: str) -> bool:
        """Return whether requests to an IPv4 address, any port, are still being served.

        :raises RouteFailedError: where the gateway cannot be asked
        """
        with _route_errors("read the gateway's sessions"):
            sessions = self._routes.runtime.send("show sess all")
        return re.search(rf"\baddr={re.escape(address)}:", sessions) is not None


@contextmanager
def _route_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (GatewayError, OSError, ValueError) as exc:
        msg = f"could not {what}: {exc}"
        raise RouteFailedError(msg, {"gateway": str(exc)}) from exc
