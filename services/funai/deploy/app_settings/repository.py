"""Where settings of apps are kept. The only SQL of this feature."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.contract.status import JobStatus
from funai.deploy.app_settings.model import Shape
from funai.deploy.schema import NOW, NOW_MS, app_settings, job
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_SHAPE = tuple(app_settings.c[name] for name in Shape.__dataclass_fields__)


def get(connection: Connection, app_id: str) -> tuple[int, Shape, bytes | None]:
    """Return version, shape and sealed environment; version 0 where there are no settings."""
    row = connection.execute(
        select(app_settings.c.version, app_settings.c.environment, *_SHAPE).where(
            app_settings.c.app_id == app_id
        )
    ).first()
    return (0, Shape(), None) if row is None else (row.version, _shape(row), row.environment)


def shape_of(connection: Connection, app_id: str) -> Shape:
    """Return the app's settings without its environment."""
    row = connection.execute(select(*_SHAPE).where(app_settings.c.app_id == app_id)).first()
    return Shape() if row is None else _shape(row)


def save(
    connection: Connection, app_id: str, version: int, shape: Shape, environment: bytes | None
) -> None:
    """Write the app's settings; its row in the table of apps is locked."""
    values = {**asdict(shape), "environment": environment, "version": version, "update_time": NOW}
    connection.execute(
        mysql_insert(app_settings)
        .values(app_id=app_id, create_time=NOW, **values)
        .on_duplicate_key_update(**values)
    )


def delete_settings(connection: Connection, app_id: str) -> None:
    """Delete the app's settings with its secrets."""
    connection.execute(delete(app_settings).where(app_settings.c.app_id == app_id))


def apps_with_environment(connection: Connection) -> list[str]:
    """Return the apps that have an environment, by id."""
    has_one = app_settings.c.environment.is_not(None)
    query = select(app_settings.c.app_id).where(has_one).order_by(app_settings.c.app_id)
    return list(connection.execute(query).scalars())


def lock_environment(connection: Connection, app_id: str) -> bytes | None:
    """Return the app's sealed environment, which nobody else changes until the transaction ends."""
    query = select(app_settings.c.environment).where(app_settings.c.app_id == app_id)
    found: bytes | None = connection.execute(query.with_for_update()).scalar()
    return found


def reseal(connection: Connection, app_id: str, environment: bytes) -> None:
    """Replace the app's sealed environment by the same one, sealed by another key."""
    connection.execute(
        update(app_settings).where(app_settings.c.app_id == app_id).values(environment=environment)
    )


def now(connection: Connection) -> str:
    """Return the database's time."""
    return iso(connection.execute(select(NOW)).scalar_one()) or ""


def is_held(connection: Connection, job_id: str, runner_id: str, fence: int | None) -> bool:
    """Tell whether the runner holds the job's lease now."""
    held = select(job.c.id).where(
        job.c.id == job_id,
        job.c.status == JobStatus.RUNNING.value,
        job.c.runner_id == runner_id,
        job.c.lease_expire_at > NOW_MS,
        *(() if fence is None else (job.c.fence == fence,)),
    )
    return connection.execute(held).first() is not None


def _shape(row: Row[tuple[int | str | None, ...]]) -> Shape:
    return Shape(**{name: row._mapping[name] for name in Shape.__dataclass_fields__})  # noqa: SLF001 - SQLAlchemy's public name
