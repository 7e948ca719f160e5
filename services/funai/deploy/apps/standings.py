"""Reads how apps stand: any number of them, in as many queries as one of them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.deploy.apps import repository
from funai.deploy.apps.model import AppRun
from funai.deploy.apps.standing import Standing
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.repository import AppRepository
from funai.deploy.revisions import repository as revisions

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection


def read_standings(
    connection: Connection, app_ids: Collection[str], stale_seconds: int
) -> dict[str, Standing]:
    """Return how apps stand, by app id; those of which nothing runs and no job is known are not there."""
    runs = repository.get_runs(connection, app_ids)
    rows = AppRepository(connection).all_of(app_ids)
    active = revisions.active_of(connection, app_ids)
    nodes = {node.id: node for node in NodeRepository(connection, stale_seconds).all()}
    # A RUNNING job comes before a PENDING one, so it is the one that stays.
    jobs = {job.app_id: job for job in reversed(JobRepository(connection).active_of_apps(app_ids))}
    unconfirmed = {app_id for app_id, row in rows.items() if row.unconfirmed_job_id is not None}
    found = {}
    for app_id in runs.keys() | jobs.keys() | unconfirmed:
        run, row = runs.get(app_id) or AppRun(app_id), rows.get(app_id)
        routed = row.route_node_id if row else None
        node_id = run.node_id if routed is None else routed
        found[app_id] = Standing(
            run=run,
            revision=active.get(app_id),
            job=jobs.get(app_id),
            node=None if node_id is None else nodes.get(node_id),
            pause=row.pause if row else None,
            unconfirmed_job_id=row.unconfirmed_job_id if row else None,
        )
    return found
