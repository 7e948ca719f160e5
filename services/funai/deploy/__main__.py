"""Command line of Deploy: ``funai-deploy serve | migrate [--check] | prune | renew-settings | openapi``."""

from __future__ import annotations

import argparse
import json
import os
import sys

from funai.deploy.config import (
    ConfigError,
    DatabaseSettings,
    RetentionSettings,
    RunnerAccess,
    Secrets,
    Settings,
    settings_keys,
)
from funai.deploy.notifications.webhooks import read_webhooks
from funai.deploy.registries.model import RegistryError, read_accounts

#: Wrong settings: systemd does not start the service again before they change.
EXIT_SETTINGS = 2


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="funai-deploy", description="Deploy, the control plane.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the API")
    migrating = commands.add_parser(
        "migrate", help="bring the schema up to date; the last line says changed or unchanged"
    )
    migrating.add_argument(
        "--check", action="store_true", help="say which it would be and write nothing"
    )
    pruning = commands.add_parser("prune", help="remove built images that no kept revision needs")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go, and why")
    pruning.add_argument("--json", action="store_true", help="one JSON object a line")
    commands.add_parser("renew-settings", help="encrypt apps' environments by the newest key")
    commands.add_parser("openapi", help="print the OpenAPI document")
    options = parser.parse_args(argv)
    try:
        return _run(options)
    except (ConfigError, RegistryError) as exc:
        sys.stderr.write(f"funai-deploy: {exc}\n")
        return EXIT_SETTINGS


def _run(options: argparse.Namespace) -> int:
    if options.command == "serve":
        return _serve()
    if options.command == "migrate":
        return _migrate(check=options.check)
    if options.command == "prune":
        return _prune(dry_run=options.dry_run, as_json=options.json)
    return _renew_settings() if options.command == "renew-settings" else _openapi()


def _serve() -> int:
    settings = Settings.from_env(os.environ)
    # The worker reads it; here a wrong one ends the service in a way that systemd does not repeat.
    read_accounts(settings.retention.registries_file)
    read_webhooks(settings.webhooks.file)
    from funai.deploy.server import Server  # noqa: PLC0415 - migrate needs none of it

    Server(settings).run()
    return 0


def _migrate(*, check: bool) -> int:
    settings = DatabaseSettings.from_env(os.environ)
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - serve's parent needs none of it

    from funai.deploy.migrate import (  # noqa: PLC0415 - serve's parent needs none of it
        MigrationError,
        migrate,
        needs_migration,
    )

    try:
        changed = needs_migration(settings) if check else migrate(settings)
    except (MigrationError, SQLAlchemyError) as exc:
        where = f"{settings.name} on {settings.host}:{settings.port} as {settings.user}"
        sys.stderr.write(f"funai-deploy: could not migrate {where}: {exc}\n")
        return 1
    sys.stdout.write("changed\n" if changed else "unchanged\n")
    return 0


def _prune(*, dry_run: bool, as_json: bool) -> int:
    database = DatabaseSettings.from_env(os.environ)
    settings = RetentionSettings.from_env(os.environ)
    from funai.deploy.retention.command import run  # noqa: PLC0415 - only here

    return run(database, settings, dry_run=dry_run, as_json=as_json)


def _renew_settings() -> int:
    database, keys = DatabaseSettings.from_env(os.environ), settings_keys(os.environ)
    from funai.deploy.app_settings.command import run  # noqa: PLC0415 - only here

    return run(database, keys)


def _openapi() -> int:
    from funai.deploy.app import create_app  # noqa: PLC0415 - only here

    unused = "unused-by-the-document"
    settings = Settings(
        database=DatabaseSettings("localhost", "db", "user", unused),
        secrets=Secrets(unused, unused, unused, unused, unused, unused, (unused,)),
        runners=RunnerAccess(),
    )
    document = create_app(settings).app.api_doc
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
