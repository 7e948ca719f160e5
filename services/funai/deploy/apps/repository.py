"""Where the last known of apps is kept, and how an app's rows go. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from funai.contract.status import STOPPED
from funai.deploy.app_settings.repository import delete_settings
from funai.deploy.apps.model import AppRun, Closing, Purged
from funai.deploy.job_logs.repository import delete_logs
from funai.deploy.jobs.payload import load
from funai.deploy.schema import NOW, NOW_MS, app, app_run, job, job_event, placement

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

MAX_IMAGES = 100


def get_run(connection: Connection, app_id: str) -> AppRun | None:
    """Return what is last known of the app, or None."""
    return get_runs(connection, [app_id]).get(app_id)


def get_runs(connection: Connection, app_ids: Collection[str]) -> dict[str, AppRun]:
    """Return what is last known of apps, by app id."""
    rows = connection.execute(select(app_run).where(app_run.c.app_id.in_(app_ids)))
    return {
        row.app_id: AppRun(
            app_id=row.app_id,
            node_id=row.node_id,
            last_job_id=row.last_job_id,
            last_job_status=row.last_job_status,
            last_error=row.last_error,
            last_deployed_at=row.last_deployed_at,
            last_active_at=row.last_active_at,
        )
        for row in rows
    }


def mark_stopped(connection: Connection, app_id: str) -> None:
    """Record that the app was stopped."""
    connection.execute(
        update(app_run)
        .where(app_run.c.app_id == app_id)
        .values(last_job_status=STOPPED, last_active_at=NOW_MS, update_time=NOW)
    )


def images(connection: Connection, app_id: str) -> tuple[str, ...]:
    """Return the images that the app's newest jobs named, sorted."""
    rows = connection.execute(
        select(job.c.payload_json)
        .where(job.c.app_id == app_id)
        .order_by(job.c.create_time.desc())
        .limit(MAX_IMAGES)
    )
    found = {load(row.payload_json).get("image") for row in rows}
    return tuple(sorted(image for image in found if isinstance(image, str)))


def closings(connection: Connection, node_id: int, limit: int) -> list[Closing]:
    """Return what the node is still to be told, what has waited longest first."""
    rows = connection.execute(
        select(app, job.c.payload_json)
        .outerjoin(job, job.c.id == app.c.closing_job_id)
        .where(app.c.closing_node_id == node_id)
        .order_by(app.c.update_time)
        .limit(limit)
    )
    return [
        Closing(
            row.app_id,
            row.closing_job_id,
            row.closing_node_id,
            row.closing_fence,
            str(load(row.payload_json).get("userId") or "0"),
        )
        for row in rows
    ]


def purge(connection: Connection, app_id: str) -> Purged:
    """Delete the app's rows, settings and secrets included. Its fence stays: nodes remember the highest that they saw."""
    connection.execute(delete(job_event).where(job_event.c.app_id == app_id))
    jobs_of_app = connection.execute(select(job.c.id).where(job.c.app_id == app_id)).scalars()
    delete_logs(connection, list(jobs_of_app))
    delete_settings(connection, app_id)
    return Purged(
        jobs=connection.execute(delete(job).where(job.c.app_id == app_id)).rowcount,
        placements=connection.execute(
            delete(placement).where(placement.c.app_id == app_id)
        ).rowcount,
        app_runs=connection.execute(delete(app_run).where(app_run.c.app_id == app_id)).rowcount,
    )
