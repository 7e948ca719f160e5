"""Tells nodes to carry out nothing more of jobs that ended without success, and hears what serves.

A runner that lost its job, or one that is slow to hear of a cancel, may have a call on its way. From
the node's answer on such a call is refused; what was switched to before it is told as it is.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from funai.deploy.apps import repository
from funai.deploy.apps.seeding import Seeder
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
#: A deploy in progress gives up within one probe and one removal.
_CLOSE_SECONDS = 25.0
_BATCH = 50
_NOT_FOUND = 404
_STALE = "STALE_FENCE"


class Closer:
    """Runs until it is stopped. Several do no harm: a node does the same again and says the same."""

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent
        self._seeder = Seeder(parts, agent)
        self._stop = threading.Event()

    def start(self) -> None:
        """Run rounds in a thread of their own: a node may take its time."""
        threading.Thread(target=self._run, name="closer", daemon=True).start()

    def stop(self) -> None:
        """End after the current call; safe in a signal handler."""
        self._stop.set()

    def _run(self) -> None:
        is_over = False
        while not is_over:
            try:
                self.round()
            except (UnavailableError, DBAPIError) as exc:
                _LOG.warning("closer's round failed", extra={"fields": {"error": str(exc)}})
            is_over = self._stop.wait(self._parts.settings.limits.reaper)

    def round(self) -> None:
        """Tell every node that answers; a node that does not is asked again in the next round."""
        database, stale = self._parts.database, self._parts.node_stale
        for node in database.run(lambda c: NodeRepository(c, stale).all()):
            if node.fresh:
                self._seeder.learn(node)
                for closing in database.run(
                    partial(repository.closings, node_id=node.id, limit=_BATCH)
                ):
                    if self._stop.is_set() or not self._close(node, closing):
                        break

    def _close(self, node: Node, closing: Closing) -> bool:
        """Tell the node of one; return whether it answered."""
        body = {"appId": closing.app_id, "userId": closing.user_id, "fence": closing.fence}
        answer = self._agent.close(node, body, seconds=_CLOSE_SECONDS)
        if answer.success:
            serving = answer.response.get("serving")
            self._parts.database.run(
                partial(self._record, node=node, closing=closing, serving=serving)
            )
        elif answer.status == _NOT_FOUND or answer.response.get("reason") == _STALE:
            self._parts.database.run(partial(self._give_up, closing=closing, answer=answer))
        else:
            _LOG.warning(
                "a node was not told of an end", extra={"fields": _fields(closing, answer)}
            )
        return answer.status is not None

    def _record(
        self, connection: Connection, node: Node, closing: Closing, serving: object
    ) -> None:
        AppRepository(connection).lock(closing.app_id)
        if repository.forget_closing(connection, closing):
            note_serving(connection, node, closing.app_id, serving)

    def _give_up(self, connection: Connection, closing: Closing, answer: AgentAnswer) -> None:
        """Stop telling an agent that cannot be told, or has heard of a later claim."""
        highest = answer.evidence("highestFence")
        if isinstance(highest, int):
            AppRepository(connection).raise_fence(closing.app_id, highest)
        repository.forget_closing(connection, closing)


def _fields(closing: Closing, answer: AgentAnswer) -> dict[str, Any]:
    return {"appId": closing.app_id, "jobId": closing.job_id, "error": answer.error}
