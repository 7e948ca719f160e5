"""Brings the schema up to date: ``funai-deploy migrate``."""

from __future__ import annotations

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

VERSION_TABLE = "fun_ai_deploy_alembic_version"
_LOCK = "funai-deploy-migrate"
_LOCK_SECONDS = 60
_CONNECT_SECONDS = 5


class MigrationError(Exception):
    """The schema could not be brought up to date; the text says why."""


def needs_migration(settings: DatabaseSettings) -> bool:
    """Tell whether :func:`migrate` would change anything; writes nothing."""
    with _engine(settings).connect() as connection:
        return _pending(connection, _config())


def migrate(settings: DatabaseSettings) -> bool:
    """Bring the schema up to date; tell whether anything changed.

    Two at once wait for each other.

    :raises MigrationError: where another migration did not end in time
    """
    config = _config()
    with _engine(settings).connect() as guard:
        query = text("SELECT GET_LOCK(:name, :seconds)")
        taken = guard.execute(query, {"name": _LOCK, "seconds": _LOCK_SECONDS}).scalar()
        if taken != 1:
            msg = f"another migration runs for more than {_LOCK_SECONDS} s"
            raise MigrationError(msg)
        with _engine(settings).connect() as connection:
            if not _pending(connection, config):
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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _pending(connection: Connection, config: Config) -> bool:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return set(context.get_current_heads()) != set(ScriptDirectory.from_config(config).get_heads())
