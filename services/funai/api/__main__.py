"""Command line of the API entry: ``funai-api serve | migrate [--check] | first-operator [--check]``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from funai.api.config import Settings, read_database
from funai.api.errors import ApiError
from funai.deploy.config import ConfigError

#: Wrong settings: systemd does not start the service again before they change.
EXIT_SETTINGS = 2


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="funai-api", description="API entry and console.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve console and API")
    migrating = commands.add_parser("migrate", help="bring the schema up to date")
    first = commands.add_parser(
        "first-operator", help="make the operator of API_FIRST_OPERATOR_* unless it exists"
    )
    for command in (migrating, first):
        command.add_argument(
            "--check", action="store_true", help="say what would be, write nothing"
        )
    options = parser.parse_args(argv)
    try:
        if options.command == "serve":
            return _serve()
        if options.command == "migrate":
            return _migrate(check=options.check)
        return _first_operator(check=options.check)
    except (ConfigError, ApiError) as exc:
        sys.stderr.write(f"funai-api: {exc}\n")
        return EXIT_SETTINGS


def _serve() -> int:
    settings = Settings.from_env(os.environ)
    from funai.api.server import Server  # noqa: PLC0415 - the other commands need none of it

    Server(settings).run()
    return 0


def _migrate(*, check: bool) -> int:
    settings = read_database(os.environ)
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - serve's parent needs none of it

    from funai.deploy.migrate import (  # noqa: PLC0415 - serve's parent needs none of it
        MigrationError,
        Steps,
        migrate,
        needs_migration,
    )

    steps = Steps(
        lock="funai-api-migrate",
        version_table="fun_ai_api_alembic_version",
        folder=Path(__file__).parent / "migrations",
    )
    try:
        changed = needs_migration(settings, steps) if check else migrate(settings, steps)
    except (MigrationError, SQLAlchemyError) as exc:
        where = f"{settings.name} on {settings.host}:{settings.port} as {settings.user}"
        sys.stderr.write(f"funai-api: could not migrate {where}: {exc}\n")
        return 1
    return _say(changed=changed)


def _first_operator(*, check: bool) -> int:
    from funai.api.accounts.service import AccountService  # noqa: PLC0415 - only here
    from funai.deploy.database import Database, make_engine  # noqa: PLC0415 - only here

    database = Database(make_engine(read_database(os.environ), pool_size=1))
    name = os.environ.get("API_FIRST_OPERATOR_NAME", "")
    password = os.environ.get("API_FIRST_OPERATOR_PASSWORD", "")
    made = AccountService(database).ensure_first_operator(name, password, check=check)
    return _say(changed=made)


def _say(*, changed: bool) -> int:
    sys.stdout.write("changed\n" if changed else "unchanged\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
