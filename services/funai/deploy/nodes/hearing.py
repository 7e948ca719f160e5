"""Which nodes are still to be asked for their fences, since Deploy or its database was away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funai.deploy.nodes.absence import Absence


class Hearing:
    """Written by one thread, read by any; a claim makes it hurry.

    A claim on a node that is still to be asked might get a fence that the node has seen.
    """

    def __init__(self, absence: Absence) -> None:
        self._absence = absence
        self._is_on = False
        self._changed = threading.Condition()
        #: Set where somebody waits for a node's word; who asks need not sleep then.
        self.wanted = threading.Event()
        #: Absences of the database that there had been when the nodes were listed.
        self._listed_at: int | None = None
        self._pending: set[int] = set()

    def begin(self) -> None:
        """Let claims wait from now on: somebody asks."""
        self._is_on = True

    def list(self, node_ids: Iterable[int]) -> None:
        """Take what nodes there are, which are to be asked if the database was away since the last time.

        A node that comes later is a new one, on which nothing of the past can be.
        """
        if self._listed_at != self._absence.count:
            with self._changed:
                self._pending = set(node_ids)
                self._listed_at = self._absence.count
                self._changed.notify_all()

    def note(self, node_id: int) -> None:
        """Note that the node was asked; also one that did not answer, which nobody can wait for."""
        with self._changed:
            self._pending.discard(node_id)
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether every node that was there was asked."""
        return self._listed_at is not None and not self._pending

    def is_done(self, node_id: int) -> bool:
        """Tell whether nobody has to wait for the node's word."""
        return not self._is_on or (self._listed_at is not None and node_id not in self._pending)

    def wait(self, node_id: int, seconds: float) -> bool:
        """Wait for the node's word, not longer than that; tell whether nobody has to any more."""
        if self.is_done(node_id):
            return True
        self.wanted.set()
        with self._changed:
            return self._changed.wait_for(lambda: self.is_done(node_id), seconds)
