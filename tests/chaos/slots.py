"""Addresses of a run's own: two runs on one machine must not meet on a container's address."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import IO

_SLOTS = 80
_FIRST_OCTET = 80


class Slot:
    """A number that no other run on this machine has; given back with ``close`` or at the end."""

    def __init__(self, number: int, lock: IO[bytes]) -> None:
        self._number, self._lock = number, lock

    def subnet(self, node: int) -> str:
        """Return the network of the containers of node 1 or 2, on loopback."""
        return f"127.{_FIRST_OCTET + 2 * self._number + node - 1}.0.0/20"

    def close(self) -> None:
        self._lock.close()


def take_slot() -> Slot:
    """Return the first free slot.

    :raises RuntimeError: where so many runs are under way
    """
    for number in range(_SLOTS):
        lock = (Path(tempfile.gettempdir()) / f"funai-chaos-{number}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return Slot(number, lock)
    msg = f"{_SLOTS} runs are under way on this machine"
    raise RuntimeError(msg)
