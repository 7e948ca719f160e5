"""Ports on loopback that no two workers of pytest-xdist give out."""

from __future__ import annotations

import itertools
import os
import socket
import zlib

#: Below those that the kernel gives to outgoing connections, so that none takes a port between
#: this module's look at it and the start of its server.
_FIRST, _LAST = 12_000, 31_999
_WORKERS = 8
_SHARE = (_LAST + 1 - _FIRST) // _WORKERS


def _own_ports() -> range:
    # One after the other, tests are those of worker 0.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % _WORKERS * _SHARE
    return range(first, first + _SHARE)


def _from_anywhere() -> itertools.cycle[int]:
    """Go round the worker's ports, from where another run on this machine hardly began."""
    ports = _own_ports()
    begin = zlib.crc32(str(os.getppid()).encode()) % len(ports)
    return itertools.cycle([*ports[begin:], *ports[:begin]])


_PORTS = _from_anywhere()


def free_port() -> int:
    """Return a port on loopback that nobody listens on and that this run has not given out lately."""
    for port in itertools.islice(_PORTS, _SHARE):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("every port of this worker is taken")
