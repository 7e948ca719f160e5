"""Use cases on apps: look, stop, purge, clean up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.contract.status import JobStatus
from funai.deploy.apps import repository
from funai.deploy.apps.agent import DELETE_SECONDS, target
from funai.deploy.apps.model import AgentAnswer, Home
from funai.deploy.apps.standings import read_standings
from funai.deploy.errors import AgentFailedError, NotFoundError
from funai.deploy.jobs.ending import end_job
from funai.deploy.jobs.model import ACTOR_API, CANCELLED_BY_CALLER, Ending
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.leftovers import LeftoverRepository
from funai.deploy.placements.repository import AppRepository, PlacementRepository
from funai.deploy.revisions import repository as revisions
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.apps.model import Purged
    from funai.deploy.apps.standing import Standing
    from funai.deploy.jobs.model import Job
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts
    from funai.deploy.placements.model import AppRow
    from funai.deploy.retention.model import Entry
    from funai.deploy.retention.service import RetentionService

#: An agent lets a container finish its requests before it stops it.
_STOP_SECONDS = 60.0
#: All that the registry gets of them.
_REMOVE_SECONDS = 2.0


@dataclass(frozen=True)
class Cleaned:
    """What a cleanup did."""

    home: Home
    answer: AgentAnswer | None
    purged: Purged
    #: What became of the app's images in the registry; None where there is none to remove from.
    images: list[Entry] | None = None


class AppService:
    """Stops and removes apps."""

    def __init__(self, parts: Parts, agent: AgentClient, retention: RetentionService) -> None:
        self._parts = parts
        self._agent = agent
        self._retention = retention

    def standing(self, app_id: str) -> Standing:
        """Return what runs of the app, and why.

        :raises NotFoundError: where it never ran
        """
        found = self.standings([app_id])
        if not found:
            msg = f"nothing is known of app {app_id}; it was never deployed, or it was purged"
            raise NotFoundError(msg)
        return found[0]

    def standings(self, app_ids: Sequence[str]) -> list[Standing]:
        """Return the same of several apps in their order; those that nobody knows are left out."""
        stale = self._parts.node_stale
        found = self._parts.database.run(lambda c: read_standings(c, app_ids, stale))
        return [found[app_id] for app_id in dict.fromkeys(app_ids) if app_id in found]

    def resume(self, app_id: str) -> bool:
        """End the app's pause; tell whether it was paused.

        :raises NotFoundError: where the app never had a job
        """

        def work(connection: Connection) -> bool:
            apps = AppRepository(connection)
            if apps.get(app_id).deploy_seq == 0:
                msg = f"nothing is known of app {app_id}; it never had a job, so it is not paused"
                raise NotFoundError(msg)
            return apps.resume(app_id)

        resumed = self._parts.database.run(work)
        self._parts.work_available.ring()
        return resumed

    def stop(self, app_id: str, user_id: str) -> tuple[Node, dict[str, Any]]:
        """Stop the app on the node that serves it; return the node and its agent's answer.

        :raises NotFoundError: where the app is on no node
        :raises AgentFailedError: where the agent did not do it
        """
        home = self._parts.database.run(lambda c: self._home(c, app_id))
        if home.node is None:
            msg = f"app {app_id} is not placed on any node, so there is nothing to stop"
            raise NotFoundError(msg)
        body = target(home.app_id, user_id, home.fence)
        answer = self._agent.stop(home.node, body, seconds=_STOP_SECONDS)
        if not answer.success:
            msg = f"app {app_id} was not stopped on node {home.node.name}: {answer.error}"
            raise AgentFailedError(msg)
        self._parts.database.run(lambda c: self._mark_stopped(c, home))
        return home.node, answer.response

    def _mark_stopped(self, connection: Connection, home: Home) -> None:
        apps = AppRepository(connection)
        apps.lock(home.app_id)
        repository.mark_stopped(connection, home.app_id)
        revisions.mark_stopped(connection, home.app_id)
        # A job that ended after the call is still to be told.
        apps.settle(home.app_id, home.fence)

    def purge(self, app_id: str) -> Purged:
        """Delete what Deploy keeps of the app: jobs, placement, last-known, route.

        Jobs that have not ended are cancelled; what one may have started is removed from its node.
        """
        purged = self._parts.database.run(lambda c: self._purge(c, app_id))
        self._parts.ring_all()
        return purged

    def clean_up(self, app_id: str, user_id: str) -> Cleaned:
        """Remove the app's containers and images from its node, then its rows.

        Where the node does not answer, the rows go all the same and the removal is repeated; also
        where a job was claimed while the node was asked.
        """
        home = self._parts.database.run(lambda c: self._close(c, app_id))
        answer = None
        if home.node is not None:
            body = target(app_id, user_id, home.fence)
            answer = self._agent.delete(home.node, body, seconds=DELETE_SECONDS)
        cleared = {home.node.id} if home.node and answer and answer.success else set()

        def work(connection: Connection) -> Purged:
            left = self._nodes_of(connection, AppRepository(connection).lock(app_id)) - cleared
            purged = self._purge(connection, app_id, told=home.fence)
            for node_id in left:
                LeftoverRepository(connection).note(app_id, node_id, user_id)
            return purged

        purged = self._parts.database.run(work)
        self._parts.ring_all()
        return Cleaned(home, answer, purged, self._remove_images(app_id))

    def _remove_images(self, app_id: str) -> list[Entry] | None:
        """Remove the app's images from their registry as far as time allows; None without one.

        What is left over, the prune that runs by itself removes later.
        """
        if not self._retention.enabled:
            return None
        ends_at = time.monotonic() + _REMOVE_SECONDS
        return self._retention.prune(dry_run=False, app_id=app_id, ends_at=ends_at)

    def _home(self, connection: Connection, app_id: str) -> Home:
        node_id = AppRepository(connection).node_of(app_id)
        nodes = NodeRepository(connection, self._parts.node_stale)
        return Home(
            app_id=app_id,
            node=None if node_id is None else nodes.by_id(node_id),
            fence=AppRepository(connection).get(app_id).fence,
            images=repository.images(connection, app_id),
        )

    def _nodes_of(self, connection: Connection, row: AppRow) -> set[int]:
        """Return the ids of all nodes that may have containers of the app and no note about it.

        :param row: the app's, which this transaction has locked: no claim places it elsewhere meanwhile
        """
        placed_on = PlacementRepository(connection).node_of(row.app_id)
        return {node_id for node_id in (placed_on, row.route_node_id) if node_id is not None}

    def _close(self, connection: Connection, app_id: str) -> Home:
        """Cancel what runs for the app, and make every claim before now a stale one."""
        apps = AppRepository(connection)
        apps.change(app_id, fence=apps.lock(app_id).fence + 1)
        self._cancel_jobs(connection, app_id, "the app is being removed")
        # Above what the ends of these jobs took.
        return self._home(connection, app_id)

    def _cancel_jobs(self, connection: Connection, app_id: str, why: str) -> Job | None:
        """Cancel the app's jobs that have not ended; return the one that a runner had."""
        claimed = None
        for active in JobRepository(connection).active_of(app_id):
            ending = Ending(
                status=JobStatus.CANCELLED,
                actor=ACTOR_API,
                reason_code=CANCELLED_BY_CALLER,
                reason=why,
            )
            end_job(connection, active, ending, self._parts.notices)
            if active.node_id is not None:
                claimed = active
        return claimed

    def _purge(self, connection: Connection, app_id: str, told: int | None = None) -> Purged:
        """Delete the app's rows, and have its node cleared of a job that came since it was told.

        :param told: fence that the node was told to delete the app with; None: it was not told
        """
        apps = AppRepository(connection)
        row = apps.lock(app_id)
        nodes = self._nodes_of(connection, row)
        claimed = self._cancel_jobs(connection, app_id, "the app was removed")
        apps.resume(app_id)
        apps.settle(app_id)
        has_come = claimed is not None or (told is not None and row.fence > told)
        user_id = None if claimed is None else claimed.user_id
        for node_id in nodes if has_come else ():
            LeftoverRepository(connection).note(app_id, node_id, user_id)
        purged = repository.purge(connection, app_id)
        revisions.purge(connection, app_id)
        if row.route_node_id is not None:
            apps.change(app_id, route_node_id=None)
            bump_version(connection)
        return purged
