"""Writes notices down inside the transaction that does what they tell, so that none is lost."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from funai.contract.status import JobStatus
from funai.deploy.jobs import render
from funai.deploy.jobs.model import MAX_ERROR
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.notifications import repository
from funai.deploy.notifications.model import OF_JOB, Notice
from funai.deploy.revisions import repository as revisions
from funai.deploy.revisions.model import Origin
from funai.deploy.wire import iso, keep_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Ending, Job
    from funai.deploy.nodes.model import Node
    from funai.deploy.notifications.model import Webhook
    from funai.deploy.placements.model import Pause

#: A node is read for its URL only; whether it is fresh does not matter.
_ANY_AGE = 1


class Notices:
    """Adds deliveries for the webhooks that asked for them.

    :param public_base_url: of the edge; empty leaves ``publicUrl`` null
    """

    def __init__(
        self,
        webhooks: Mapping[str, Webhook],
        public_base_url: str,
        make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._webhooks = webhooks
        self._public_base_url = public_base_url
        self._make_id = make_id

    def job_ended(self, connection: Connection, found: Job, ending: Ending) -> None:
        """Tell of a job's end; called after its app's revision followed it."""
        notice = OF_JOB.get(ending.status)
        if notice is not None and (names := self._subscribed(notice)):
            self._add(connection, notice, names, self._job(connection, found, ending))

    def app_paused(self, connection: Connection, pause: Pause, job_id: str) -> None:
        """Tell of an app's pause, and the job that brought it about."""
        if names := self._subscribed(Notice.APP_PAUSED):
            data = {
                "appId": pause.app_id,
                "jobId": job_id,
                "pausedAt": iso(pause.since),
                "reason": pause.sentence,
            }
            self._add(connection, Notice.APP_PAUSED, names, data)

    def node_changed(self, connection: Connection, node: Node) -> None:
        """Tell that a node is no longer fresh, or is so again."""
        notice = Notice.NODE_BACK if node.fresh else Notice.NODE_STALE
        if names := self._subscribed(notice):
            data = {
                "nodeId": node.id,
                "name": node.name,
                "health": node.health,
                "lastHeartbeatAt": iso(node.last_heartbeat_at),
            }
            self._add(connection, notice, names, data)

    def ping(self, connection: Connection, name: str) -> str:
        """Send a webhook a notice that tells nothing; return its delivery's id."""
        data = {"message": f"webhook {name} of Deploy was tested by an operator"}
        return self._add(connection, Notice.PING, [name], data)[name]

    def _subscribed(self, notice: Notice) -> list[str]:
        return [name for name, found in self._webhooks.items() if notice in found.notices]

    def _add(
        self, connection: Connection, notice: Notice, names: Sequence[str], data: dict[str, Any]
    ) -> dict[str, str]:
        ids = {name: self._make_id() for name in names}
        repository.add(connection, self._make_id(), notice, data, ids)
        return ids

    def _job(self, connection: Connection, found: Job, ending: Ending) -> dict[str, Any]:
        node = None
        if found.node_id is not None:
            node = NodeRepository(connection, _ANY_AGE).by_id(found.node_id)
        path = render.base_path(found) if node else None
        return {
            "id": found.id,
            "type": found.type,
            "appId": found.app_id,
            "userId": found.user_id,
            "status": ending.status,
            "errorMessage": ending.error_message and keep_tail(ending.error_message, MAX_ERROR),
            "reasonCode": ending.reason_code,
            "reason": ending.reason,
            "revision": found.revision,
            "commit": _commit(connection, found, ending),
            "deployUrl": render.app_url(node.gateway_base_url if node else "", path),
            "publicUrl": render.app_url(self._public_base_url, path),
        }


def tell_node(connection: Connection, node: Node, notices: Notices) -> bool:
    """Tell of a node's change, unless another Deploy did; tell whether this one did."""
    told = NodeRepository(connection, _ANY_AGE).note_told(node.id, stale=not node.fresh)
    if told:
        notices.node_changed(connection, node)
    return told


def _commit(connection: Connection, found: Job, ending: Ending) -> str | None:
    """Return the commit's SHA, or what was asked for where no runner found one."""
    if ending.status is JobStatus.SUCCEEDED and found.revision is not None:
        revision = revisions.get(connection, found.app_id, found.revision)
        if revision is not None:
            return revision.origin.commit_sha or revision.origin.commit_ref
    result = ending.detail.get("result")
    origin = Origin.read(result if isinstance(result, dict) else {}, found.payload)
    return origin.commit_sha or origin.commit_ref
