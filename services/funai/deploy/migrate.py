"""Brings a schema up to date: ``funai-deploy migrate``, and the same for other services' tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

from funai.deploy.database import SESSION, url_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from funai.deploy.config import DatabaseSettings

_LOCK_SECONDS = 60
_CONNECT_SECONDS = 5


class MigrationError(Exception):
    """The schema could not be brought up to date; the text says why."""


@dataclass(frozen=True)
class Steps:
    """Whose tables, and the steps that make them."""

    #: Of the lock by which two at once wait for each other.
    lock: str
    #: Where Alembic keeps how far it came.
    version_table: str
    folder: Path


DEPLOY_STEPS = Steps(
    lock="funai-deploy-migrate",
    version_table="fun_ai_deploy_alembic_version",
    folder=Path(__file__).parent / "migrations",
)


def needs_migration(settings: DatabaseSettings, steps: Steps = DEPLOY_STEPS) -> bool:
    """Tell whether :func:`migrate` would change anything; writes nothing."""
    with _engine(settings).connect() as connection:
        return _pending(connection, _config(steps), steps)


def migrate(settings: DatabaseSettings, steps: Steps = DEPLOY_STEPS) -> bool:
    """Bring the schema up to date; tell whether anything changed.

    Two at once wait for each other.

    :raises MigrationError: where another migration did not end in time
    """
    config = _config(steps)
    with _engine(settings).connect() as guard:
        query = text("SELECT GET_LOCK(:name, :seconds)")
        taken = guard.execute(query, {"name": steps.lock, "seconds": _LOCK_SECONDS}).scalar()
        if taken != 1:
            msg = f"another migration runs for more than {_LOCK_SECONDS} s"
            raise MigrationError(msg)
        with _engine(settings).connect() as connection:
            if not _pending(connection, config, steps):
                return False
            connection.rollback()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    return True


def _engine(settings: DatabaseSettings) -> Engine:
    return create_engine(
        url_of(settings),
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS, "init_command": SESSION},
    )


def _config(steps: Steps) -> Config:
    config = Config()
    config.set_main_option("script_location", str(steps.folder))
    config.attributes["version_table"] = steps.version_table
    return config


def _pending(connection: Connection, config: Config, steps: Steps) -> bool:
    context = MigrationContext.configure(connection, opts={"version_table": steps.version_table})
    return set(context.get_current_heads()) != set(ScriptDirectory.from_config(config).get_heads())
