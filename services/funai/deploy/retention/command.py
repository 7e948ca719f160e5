"""``funai-deploy prune``: what goes and what stays, for people or as JSON lines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from funai.deploy.database import Database, make_engine
from funai.deploy.errors import DeployError
from funai.deploy.registries.model import RegistryError, read_accounts
from funai.deploy.retention.rows import prune_rows
from funai.deploy.retention.service import RetentionService

if TYPE_CHECKING:
    from funai.deploy.config import DatabaseSettings, RetentionSettings
    from funai.deploy.retention.model import Entry

#: Below what systemd gives it, so that it can say what it did.
_SECONDS = 3000.0


def run(
    database: DatabaseSettings, settings: RetentionSettings, *, dry_run: bool, as_json: bool
) -> int:
    """Prune; return the exit status: 0 also where something stays that should go, since it says so."""
    connected = Database(make_engine(database, pool_size=2))
    try:
        accounts = read_accounts(settings.registries_file)
        service = RetentionService(connected, accounts, settings.kept_revisions)
        ends_at = time.monotonic() + _SECONDS
        entries = service.prune(dry_run=dry_run, ends_at=ends_at)
        entries += prune_rows(connected, dry_run=dry_run, ends_at=ends_at)
    except (RegistryError, DeployError, SQLAlchemyError) as exc:
        sys.stderr.write(f"funai-deploy: could not prune: {exc}\n")
        return 1
    finally:
        connected.close()
    for entry in entries:
        sys.stdout.write(_line(entry, as_json=as_json))
    if not as_json:
        gone = sum(entry.action == "remove" for entry in entries)
        word = "would go" if dry_run else "went"
        sys.stdout.write(f"{gone} {word}, {len(entries) - gone} stay\n")
    return 0


def _line(entry: Entry, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(entry)) + "\n"
    return f"{entry.action:<7}{entry.kind:<7}{entry.name}  {entry.why}\n"
