"""Where jobs are kept. The only SQL of this feature.

Every change of a status is one compare-and-set by primary key. Locks are taken in the order app, job,
placement, route version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.contract.status import JobStatus
from funai.deploy.job_logs.repository import delete_logs
from funai.deploy.jobs.candidates import IS_PENDING, IS_RUNNING, LEASE_OVER
from funai.deploy.jobs.model import (
    MAX_ERROR,
    MAX_REASON,
    MAX_REASON_CODE,
    PAST_SWITCH,
    Ending,
    Extension,
    Job,
    JobView,
    NewJob,
)
from funai.deploy.jobs.newest import NEWEST_FIRST, newest_ids
from funai.deploy.jobs.payload import dump, load
from funai.deploy.nodes import repository as nodes
from funai.deploy.schema import NOW, NOW_MS, app_run, job, job_event, node, placement
from funai.deploy.wire import clean, keep_tail

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select

_IS_ACTIVE = or_(IS_PENDING, IS_RUNNING)


class JobRepository:
    """Rows of ``fun_ai_deploy_job`` in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None."""
        return self._one(select(job).where(job.c.id == job_id))

    def by_key(self, key: str) -> Job | None:
        """Return the job that was created with this idempotency key, or None."""
        return self._one(select(job).where(job.c.idempotency_key == key))

    def active_of(self, app_id: str) -> list[Job]:
        """Return the app's jobs that have not ended: at most a RUNNING one, then a PENDING one."""
        return self.active_of_apps([app_id])

    def active_of_apps(self, app_ids: Collection[str]) -> list[Job]:
        """Return the jobs of several apps that have not ended: RUNNING ones, then PENDING ones."""
        query = select(job).where(job.c.app_id.in_(app_ids), _IS_ACTIVE).order_by(IS_PENDING)
        return [read(row) for row in self._connection.execute(query).mappings()]

    def running_of(self, app_id: str) -> Job | None:
        """Return the app's RUNNING job, or None."""
        return self._one(select(job).where(job.c.app_id == app_id, IS_RUNNING))

    def active(self) -> list[Job]:
        """Return the jobs of all apps that have not ended."""
        rows = self._connection.execute(select(job).where(_IS_ACTIVE)).mappings()
        return [read(row) for row in rows]

    def view(self, job_id: str, stale_seconds: int) -> JobView | None:
        """Return the job with its node, or None."""
        query = _views(stale_seconds).where(job.c.id == job_id)
        return next(iter(self._views(query)), None)

    def newest(
        self,
        limit: int,
        stale_seconds: int,
        app_ids: Collection[str] = (),
        statuses: Collection[JobStatus] = (),
    ) -> list[JobView]:
        """Return the newest jobs, newest first, in one query.

        :param app_ids: apps that count; none: all do
        :param statuses: likewise
        """
        query = _views(stale_seconds).order_by(*NEWEST_FIRST).limit(limit)
        ids = newest_ids(app_ids, statuses, limit)
        return self._views(query if ids is None else query.where(job.c.id.in_(ids)))

    def insert(self, new: NewJob, deploy_seq: int, reason_code: str, reason: str) -> None:
        """Add a PENDING job.

        :raises DBAPIError: duplicate key, where the app has a PENDING job or the key is taken
        """
        self._connection.execute(
            insert(job).values(
                id=new.id,
                type=new.type,
                app_id=new.app_id,
                status=JobStatus.PENDING.value,
                payload_json=dump(new.payload),
                create_time=NOW,
                update_time=NOW,
                version=0,
                deploy_seq=deploy_seq,
                attempt=0,
                reason_code=reason_code,
                reason=reason,
                idempotency_key=new.idempotency_key,
                idempotency_hash=new.idempotency_hash,
            )
        )

    def forget_old(self, app_id: str, *, kept: int, limit: int) -> None:
        """Delete jobs of the app beyond the newest ``kept``, with their events; at most ``limit``."""
        ids = self._connection.execute(
            select(job.c.id)
            .where(job.c.app_id == app_id)
            .order_by(*NEWEST_FIRST)
            .offset(kept)
            .limit(limit)
        ).scalars()
        old = list(ids)
        if not old:
            return
        ended = and_(job.c.id.in_(old), ~IS_PENDING, ~IS_RUNNING)
        self._connection.execute(delete(job_event).where(job_event.c.job_id.in_(old)))
        delete_logs(self._connection, old)
        self._connection.execute(delete(job).where(ended))

    def take(
        self,
        job_id: str,
        *,
        runner_id: str,
        lease_seconds: int,
        fence: int,
        node_id: int,
        limit: int,
    ) -> bool:
        """Give the job to a runner if it may still be claimed; tell whether it was.

        :param limit: attempts that a job has
        """
        free = or_(IS_PENDING, and_(IS_RUNNING, LEASE_OVER))
        return self._change(
            job_id,
            and_(free, job.c.attempt < limit),
            status=JobStatus.RUNNING.value,
            runner_id=runner_id,
            lease_expire_at=NOW_MS + lease_seconds * 1000,
            fence=fence,
            attempt=job.c.attempt + 1,
            node_id=node_id,
            started_at=func.coalesce(job.c.started_at, NOW),
            run_started_at=NOW_MS,
            phase=None,
            phase_message=None,
            reason_code=None,
            reason=None,
        )

    def extend(self, beat: Extension) -> bool:
        """Extend the lease if the caller holds it; tell whether it did."""
        values: dict[str, Any] = {"lease_expire_at": NOW_MS + beat.seconds * 1000}
        if beat.phase is not None:
            values |= {
                "phase": _unless_switched(beat, job.c.phase, beat.phase),
                "phase_message": _unless_switched(beat, job.c.phase_message, beat.phase_message),
            }
        holds = [IS_RUNNING, job.c.runner_id == beat.runner_id, job.c.lease_expire_at > NOW_MS]
        if beat.fence is not None:
            holds.append(job.c.fence == beat.fence)
        return self._change(beat.job_id, and_(*holds), **values)

    def end(self, found: Job, ending: Ending) -> bool:
        """End the job if it is still as it was found; tell whether it was."""
        as_found = [job.c.status == found.status.value, job.c.attempt == found.attempt]
        error = ending.error_message
        return self._change(
            found.id,
            and_(*as_found),
            status=ending.status.value,
            error_message=None if error is None else keep_tail(error, MAX_ERROR),
            lease_expire_at=None,
            ended_at=NOW,
            reason_code=_bounded(ending.reason_code, MAX_REASON_CODE),
            reason=_bounded(ending.reason, MAX_REASON),
        )

    def ask_to_end(self, job_id: str, by_id: str) -> bool:
        """Note that a job is to make room for a newer one, the first that asked."""
        return self._change(
            job_id, _IS_ACTIVE, superseded_by=func.coalesce(job.c.superseded_by, by_id)
        )

    def explain(self, job_id: str, status: str, code: str, reason: str) -> bool:
        """Say why the job waits, if it still has that status and nobody has said so; tell whether."""
        said, word = _bounded(reason, MAX_REASON), _bounded(code, MAX_REASON_CODE)
        is_news = and_(job.c.status == status, or_(job.c.reason.is_(None), job.c.reason != said))
        return self._change(job_id, is_news, reason_code=word, reason=said)

    def overdue(self, max_attempts: int, max_running_seconds: int, limit: int) -> list[Job]:
        """Return RUNNING jobs that are past a limit or whose lease ran out, oldest first."""
        too_long = text("started_at < UTC_TIMESTAMP(6) - INTERVAL :seconds SECOND")
        used_up = and_(LEASE_OVER, job.c.attempt >= max_attempts)
        unsaid = and_(
            LEASE_OVER, or_(job.c.reason_code.is_(None), job.c.superseded_by.is_not(None))
        )
        rows = self._connection.execute(
            select(job)
            .where(IS_RUNNING, or_(too_long, used_up, unsaid))
            .order_by(job.c.create_time)
            .limit(limit),
            {"seconds": max_running_seconds},
        ).mappings()
        return [read(row) for row in rows]

    def has_run_too_long(self, job_id: str, max_running_seconds: int) -> bool:
        """Tell whether the job's first attempt began longer ago than that."""
        too_long: ColumnElement[Any] = literal_column(
            f"started_at < UTC_TIMESTAMP(6) - INTERVAL {int(max_running_seconds)} SECOND"
        )
        return bool(self._connection.execute(select(too_long).where(job.c.id == job_id)).scalar())

    def has_ended_within(self, job_id: str, seconds: int) -> bool:
        """Tell whether the job ended, and not longer ago than that."""
        lately: ColumnElement[Any] = literal_column(
            f"ended_at > UTC_TIMESTAMP(6) - INTERVAL {int(seconds)} SECOND"
        )
        return bool(self._connection.execute(select(lately).where(job.c.id == job_id)).scalar())

    def active_counts(self) -> dict[str, int]:
        """Return the number of jobs that have not ended, by status."""
        rows = self._connection.execute(
            select(job.c.status, func.count()).where(_IS_ACTIVE).group_by(job.c.status)
        )
        return {row[0]: row[1] for row in rows}

    def _change(self, job_id: str, condition: ColumnElement[bool], **values: Any) -> bool:  # noqa: ANN401
        changed = self._connection.execute(
            update(job)
            .where(job.c.id == job_id, condition)
            .values(update_time=NOW, version=func.coalesce(job.c.version, 0) + 1, **values)
        )
        return changed.rowcount == 1

    def _one(self, query: Select[Any]) -> Job | None:
        row = self._connection.execute(query).mappings().first()
        return None if row is None else read(row)

    def _views(self, query: Select[Any]) -> list[JobView]:
        rows = self._connection.execute(query).mappings()
        return [JobView(read(row), nodes.read(row)) for row in rows]


class AppRunRepository:
    """Rows of ``fun_ai_deploy_app_run``: what is last known of an app."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(self, found: Job, status: JobStatus, error: str | None = None) -> None:
        """Record a job's status as the app's newest; an app that never had a node gets no row."""
        values: dict[str, Any] = {
            "last_job_id": found.id,
            "last_job_status": status.value,
            "last_error": None if error is None else keep_tail(error, MAX_ERROR),
            "last_active_at": NOW_MS,
            "update_time": NOW,
        }
        if found.node_id is None:
            self._connection.execute(
                update(app_run).where(app_run.c.app_id == found.app_id).values(**values)
            )
            return
        values["node_id"] = found.node_id
        if status is JobStatus.SUCCEEDED:
            values["last_deployed_at"] = NOW_MS
        self._connection.execute(
            mysql_insert(app_run)
            .values(app_id=found.app_id, create_time=NOW, **values)
            .on_duplicate_key_update(**values)
        )


def read(row: RowMapping) -> Job:
    """Return the job of a row."""
    return Job(
        id=row["id"],
        type=row["type"],
        app_id=row["app_id"] or "",
        status=JobStatus(row["status"]),
        payload=load(row["payload_json"]),
        created_at=row["create_time"],
        updated_at=row["update_time"],
        error_message=row["error_message"],
        runner_id=row["runner_id"],
        lease_expire_at=row["lease_expire_at"],
        deploy_seq=row["deploy_seq"],
        fence=row["fence"],
        attempt=row["attempt"] or 0,
        node_id=row["node_id"],
        started_at=row["started_at"],
        run_started_at=row["run_started_at"],
        ended_at=row["ended_at"],
        phase=row["phase"],
        phase_message=row["phase_message"],
        reason_code=row["reason_code"],
        reason=row["reason"],
        idempotency_key=row["idempotency_key"],
        idempotency_hash=row["idempotency_hash"],
        superseded_by=row["superseded_by"],
    )


def _views(stale_seconds: int) -> Select[Any]:
    """Select jobs with the node each ran on or, where it never ran, will run on."""
    home = func.coalesce(job.c.node_id, placement.c.node_id)
    return (
        select(*job.c, *nodes.columns(stale_seconds))
        .outerjoin(placement, placement.c.app_id == job.c.app_id)
        .outerjoin(node, node.c.id == home)
    )


def _unless_switched(beat: Extension, kept: Column[Any], value: str | None) -> ColumnElement[Any]:
    """Return the value, or what is kept where the job is past its switch and a late beat is not."""
    if beat.phase in PAST_SWITCH:
        return literal(value)
    return case((job.c.phase.in_(sorted(PAST_SWITCH)), kept), else_=literal(value))


def _bounded(value: str | None, length: int) -> str | None:
    return None if value is None else clean(value)[:length]
