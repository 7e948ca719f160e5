"""Run gateway_sync: ``funai-gateway-sync``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from functools import partial

from funai.background import keep_running
from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway.runtime_socket import RuntimeSocket
from funai.gateway_sync.client import RouteClient
from funai.gateway_sync.config import ConfigError, Settings
from funai.gateway_sync.store import TableStore
from funai.gateway_sync.sync import Sync

_HEAL_SECONDS = 3.0


def main() -> int:
    """Follow Deploy until SIGTERM; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        settings = Settings.from_env(os.environ)
    except ConfigError as exc:
        sys.stderr.write(f"funai-gateway-sync: {exc}\n")
        return 2
    routes = HaproxyMap(
        settings.routes_map, RuntimeSocket(settings.routes_socket), settings.allowed_networks
    )
    client = RouteClient(settings.deploy_url, settings.token)
    sync = Sync(client, routes, TableStore(settings.state_dir), settings.allowed_networks)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sync.restore()
    # Daemon threads: a long poll must not hold up the end, and every write is atomic.
    keep_running("follow", partial(sync.follow, stop, settings.wait_seconds), stop)
    keep_running("heal", partial(sync.heal, stop, _HEAL_SECONDS), stop)
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
