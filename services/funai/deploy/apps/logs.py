"""An app's own log, passed on from its node while it comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import requests
from flask import Response  # noqa: TC002 - flask_openapi3 reads the annotations
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.deploy import streaming
from funai.deploy.access import DEPLOY
from funai.deploy.errors import NotFoundError
from funai.deploy.fields import AppId, Flag, Model, WholeNumber
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts

_MAX_TAIL = 5000


class AppPath(Model):
    """Which app."""

    app_id: AppId


class TailQuery(Model):
    """How many of the newest lines, and whether to wait for more."""

    tail: WholeNumber = Field(100, ge=0, le=_MAX_TAIL)
    follow: Flag = False


class AppLogService:
    """Reads apps' logs from their nodes.

    :param agent: speaks to the nodes
    """

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent

    def open(
        self, app_id: str, tail: int, is_gone: Callable[[], bool], *, follow: bool
    ) -> tuple[Iterator[bytes], Callable[[], None]]:
        """Return the log's bytes as they come, and what to call when they are done.

        :param is_gone: tells whether the reader hung up
        :raises NotFoundError: where the app is on no node, or has no container there
        :raises UnavailableError: where too many read already
        :raises AgentFailedError: where its node does not give it
        """
        node = self._parts.database.run(lambda c: self._node(c, app_id))
        if node is None:
            msg = f"app {app_id} is not placed on any node, so it has no log; deploy it first"
            raise NotFoundError(msg)
        self._parts.take_log_place("try again in a moment")
        try:
            answer = self._agent.read_log(node, app_id, tail=tail, follow=follow)
        except BaseException:
            self._parts.log_places.release()
            raise

        done = threading.Event()
        if follow:
            bell = self._parts.log_added
            streaming.end_when(answer, lambda: bell.closed or is_gone(), done, f"log-{app_id}")

        def close() -> None:
            done.set()
            answer.close()
            self._parts.log_places.release()

        return _read(answer, node.name), close

    def _node(self, connection: Connection, app_id: str) -> Node | None:
        node_id = AppRepository(connection).node_of(app_id)
        stale = self._parts.node_stale
        return None if node_id is None else NodeRepository(connection, stale).by_id(node_id)


def _read(answer: requests.Response, node: str) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(None)
    except requests.RequestException:
        yield f"[the connection to node {node} ended; ask again]\n".encode()


def create_blueprint(logs: AppLogService) -> APIBlueprint:
    """Return the route of apps' logs."""
    blueprint = APIBlueprint("app_logs", __name__, url_prefix="/deploy/apps")

    @blueprint.get("/<string:app_id>/logs", summary="An app's own log", security=DEPLOY)
    def read(path: AppPath, query: TailQuery) -> Response:
        gone = streaming.reader_gone()
        lines, close = logs.open(path.app_id, query.tail, gone, follow=query.follow)
        return streaming.stream(lines, "text/plain", close)

    return blueprint
