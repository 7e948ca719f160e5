"""Removes containers from nodes on which an app was left behind: it moved, or went while its node was away."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.background import keep_running
from funai.deploy.apps.agent import DELETE_SECONDS, target
from funai.deploy.errors import DatabaseAwayError, UnavailableError
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.leftovers import LeftoverRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts
    from funai.deploy.placements.model import Leftover

_LOG = logging.getLogger(__name__)
#: Of each node, in one sweep.
_BATCH = 50
#: Rounds of the reaper between two sweeps.
_SWEEP_ROUNDS = 30


class LeftoverSweeper:
    """Sweeps until it is stopped. Several do no harm: a node removes what is gone without a word."""

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent
        self._stop = threading.Event()

    def start(self) -> None:
        """Sweep in a thread of its own: a node may take its time."""
        keep_running("leftovers", self._run, self._stop)

    def stop(self) -> None:
        """End after the current call; safe in a signal handler."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.sweep()
            except (UnavailableError, DBAPIError) as exc:
                _LOG.warning("sweep of leftovers failed", extra={"fields": {"error": str(exc)}})
            self._stop.wait(self._parts.settings.limits.reaper * _SWEEP_ROUNDS)

    def sweep(self) -> None:
        """Clear every node that answers; what was left on a node that nobody knows is forgotten."""
        nodes, left_on = self._parts.database.run(self._survey)
        for node_id in left_on:
            node = nodes.get(node_id)
            if node is None or node.fresh:
                self._clear_safely(node_id, node)

    def _survey(self, connection: Connection) -> tuple[dict[int, Node], list[int]]:
        nodes = NodeRepository(connection, self._parts.node_stale).all()
        return {node.id: node for node in nodes}, LeftoverRepository(connection).nodes()

    def _clear_safely(self, node_id: int, node: Node | None) -> None:
        """Clear one node; whatever goes wrong there, the others get their turn."""
        try:
            self._clear(node_id, node)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - see above; it is logged
            _LOG.exception("a node could not be cleared", extra={"fields": {"nodeId": node_id}})

    def _clear(self, node_id: int, node: Node | None) -> None:
        """Clear one node until it fails: one that hangs must not keep the others waiting."""
        for leftover in self._parts.database.run(
            lambda c: LeftoverRepository(c).of_node(node_id, _BATCH)
        ):
            if self._stop.is_set():
                return
            is_gone = node is None or self._remove(node, leftover)
            self._note(leftover, is_gone=is_gone)
            if not is_gone:
                return

    def _remove(self, node: Node, leftover: Leftover) -> bool:
        body = target(leftover.app_id, leftover.user_id, leftover.fence)
        answer = self._agent.delete(node, body, seconds=DELETE_SECONDS)
        if not answer.success:
            fields = {"appId": leftover.app_id, "node": node.name, "error": answer.error}
            _LOG.warning("a node was not cleared of an app", extra={"fields": fields})
        return answer.success

    def _note(self, leftover: Leftover, *, is_gone: bool) -> None:
        """Write down what became of it; a row that somebody holds gets its turn in the next sweep."""

        def work(connection: Connection) -> None:
            notes = LeftoverRepository(connection)
            (notes.forget if is_gone else notes.postpone)(leftover)

        try:
            self._parts.database.run(work)
        except DatabaseAwayError:
            raise
        except UnavailableError as exc:
            fields = {"appId": leftover.app_id, "error": str(exc)}
            _LOG.warning("an app's leftover stays noted", extra={"fields": fields})
