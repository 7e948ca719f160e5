"""Ports of services that end and start again: from below those that outgoing connections take."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 12_000, 32_000
_TRIES = 200
_given: set[int] = set()


def service_port() -> int:
    """Return a port that nobody listens on, and that no connection will be given meanwhile.

    :raises RuntimeError: where none is free
    """
    for port in random.sample(range(_FIRST, _LAST), _TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
    msg = f"no free port between {_FIRST} and {_LAST}"
    raise RuntimeError(msg)
