"""Tells nodes to carry out nothing more of jobs that ended without success, and hears what serves.

A runner that lost its job, or one that is slow to hear of a cancel, may have a call on its way. From
the node's answer on such a call is refused; what was switched to before it is told as it is.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.background import keep_running
from funai.deploy.apps import repository
from funai.deploy.apps.seeding import Seeder, is_fence
from funai.deploy.apps.serving import note_serving
from funai.deploy.errors import UnavailableError
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.apps.model import AgentAnswer, Closing
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts

_LOG = logging.getLogger(__name__)
#: Longer than an agent waits for a deploy in progress to give up.
_CLOSE_SECONDS = 10.0
_PAUSE_SECONDS = 5.0
_BATCH = 50
#: The agent knows no such call, or takes no such app: it can have nothing of that app's jobs.
_UNKNOWN_THERE = frozenset({400, 404, 422})
#: No answer, or one that every call of now would get.
_NODE_FAILED = frozenset({None, 401, 503})
_STALE = "STALE_FENCE"


class Closer:
    """Runs until it is stopped. Several do no harm: a node does the same again and says the same."""

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent
        self._seeder = Seeder(parts, agent)
        self._stop = threading.Event()
        #: When a node that did not do what it was asked for is asked again.
        self._not_before: dict[int, float] = {}

    def start(self) -> None:
        """Run rounds in a thread of their own: a node may take its time."""
        self._parts.hearing.begin()
        keep_running("closer", self._run, self._stop)

    def stop(self) -> None:
        """End after the current call; safe in a signal handler."""
        self._stop.set()
        self._parts.hearing.wanted.set()

    def _run(self) -> None:
        wanted = self._parts.hearing.wanted
        while not self._stop.is_set():
            wanted.clear()
            try:
                self.round()
            except (UnavailableError, DBAPIError) as exc:
                _LOG.warning("closer's round failed", extra={"fields": {"error": str(exc)}})
            wanted.wait(self._parts.settings.limits.reaper)

    def round(self) -> None:
        """Tell every node that answers; one that does not is left alone for some seconds."""
        stale = self._parts.node_stale
        nodes = self._parts.database.run(lambda c: NodeRepository(c, stale).all())
        self._parts.hearing.list(node.id for node in nodes)
        for node in nodes:
            if self._stop.is_set():
                return
            if node.fresh and time.monotonic() >= self._not_before.get(node.id, 0.0):
                self._visit_safely(node)

    def _visit_safely(self, node: Node) -> None:
        """Visit one node; whatever goes wrong there, the others get their turn, and claims."""
        try:
            is_well = self._visit(node)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - see above; it is logged
            _LOG.exception(
                "a node could not be told of ends", extra={"fields": {"node": node.name}}
            )
            # It was asked; what cannot be done with its answer must not stop its jobs for good.
            self._parts.hearing.note(node.id)
            is_well = False
        if not is_well:
            self._not_before[node.id] = time.monotonic() + _PAUSE_SECONDS

    def _visit(self, node: Node) -> bool:
        """Learn from the node, and tell it; return whether it did all that it was asked for."""
        if not self._seeder.learn(node):
            return False
        is_well = True
        for closing in self._parts.database.run(
            partial(repository.closings, node_id=node.id, limit=_BATCH)
        ):
            if self._stop.is_set():
                return False
            is_told = self._close(node, closing)
            if is_told is None:
                return False
            is_well = is_well and is_told
        return is_well

    def _close(self, node: Node, closing: Closing) -> bool | None:
        """Tell the node of one; return whether that is done, None where others would fare no better."""
        body = {"appId": closing.app_id, "userId": closing.user_id, "fence": closing.fence}
        answer = self._agent.close(node, body, seconds=_CLOSE_SECONDS)
        if answer.success:
            serving = answer.response.get("serving")
            self._parts.database.run(
                partial(self._record, node=node, closing=closing, serving=serving)
            )
        elif answer.status in _UNKNOWN_THERE or answer.response.get("reason") == _STALE:
            self._parts.database.run(partial(self._give_up, closing=closing, answer=answer))
        else:
            fields = {"appId": closing.app_id, "jobId": closing.job_id, "error": answer.error}
            _LOG.warning("a node was not told of an end", extra={"fields": fields})
            if answer.status in _NODE_FAILED:
                return None
            # What fails for one app may fail for long: the others' ends must not wait behind it.
            self._parts.database.run(partial(self._postpone, closing=closing))
            return False
        return True

    def _record(
        self, connection: Connection, node: Node, closing: Closing, serving: object
    ) -> None:
        apps = AppRepository(connection)
        apps.lock(closing.app_id)
        if apps.forget_closing(closing.app_id, closing.fence):
            note_serving(connection, node, closing.app_id, serving)

    def _postpone(self, connection: Connection, closing: Closing) -> None:
        AppRepository(connection).postpone_closing(closing.app_id, closing.fence)

    def _give_up(self, connection: Connection, closing: Closing, answer: AgentAnswer) -> None:
        """Stop telling an agent that cannot be told, or has heard of a later claim."""
        apps, highest = AppRepository(connection), answer.evidence("highestFence")
        if is_fence(highest):
            apps.raise_fence(closing.app_id, highest)
        apps.forget_closing(closing.app_id, closing.fence)
