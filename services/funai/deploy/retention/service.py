"""Use case of retention: remove the images that no kept revision needs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from funai.deploy.placements.repository import AppRepository
from funai.deploy.registries.client import RegistryClient
from funai.deploy.registries.model import RegistryError, RegistryRefusedError
from funai.deploy.retention import repository
from funai.deploy.retention.model import Entry, Verdict, decide, removals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from funai.deploy.database import Database
    from funai.deploy.registries.model import Account
    from funai.deploy.retention.model import Row

#: A registry that refused for good is asked again after this long.
_REFUSED_SECONDS = 86_400
_NO_TIME = "left for the next run, this one's time was up"


@dataclass(frozen=True)
class Pruned:
    """What a prune did, or would do."""

    entries: list[Entry] = field(default_factory=list)
    failed: int = 0


class RetentionService:
    """Prunes registries by what the table of revisions says, never by what a registry lists.

    :param accounts: by the registry's host
    :param count: revisions of an app that stay deployable
    """

    def __init__(self, database: Database, accounts: Mapping[str, Account], count: int) -> None:
        self._database = database
        self._accounts = accounts
        self._count = count

    @property
    def enabled(self) -> bool:
        """Whether there is any registry that images may be removed from."""
        return bool(self._accounts)

    def prune(self, *, dry_run: bool, app_id: str | None = None, seconds: float = 3600.0) -> Pruned:
        """Remove what is to go; a registry that does not answer is no reason to stop.

        :param app_id: look at this app's revisions only
        :param seconds: after this no further removal is begun
        """
        ends_at = time.monotonic() + seconds
        # Of all apps even for one: another app may run the same image.
        verdicts = decide(self._database.run(repository.rows), self._count)
        verdicts = [each for each in verdicts if app_id in {None, each.row.app_id}]
        if dry_run:
            return Pruned([Entry(**each.to_json()) for each in verdicts])
        done = Pruned([Entry(**each.to_json()) for each in verdicts if each.action == "keep"])
        failed = 0
        with ExitStack() as stack:
            clients: dict[str, RegistryClient] = {}
            for each in removals(verdicts):
                why = _NO_TIME
                if time.monotonic() < ends_at:
                    why = self._remove(each, clients, stack)
                failed += bool(why)
                done.entries.append(_entry(each, why))
        return Pruned(done.entries, failed)

    def _remove(
        self, verdict: Verdict, clients: dict[str, RegistryClient], stack: ExitStack
    ) -> str:
        """Remove one image; return why it stays, or nothing."""
        host, _, path = verdict.row.repository.partition("/")
        account = self._accounts.get(host)
        if account is None:
            return f"there is no account for the registry {host}; give one in deploy_registries"
        if host not in clients:
            clients[host] = stack.enter_context(RegistryClient(account))
        client = clients[host]
        try:
            return self._database.run(lambda c: self._remove_locked(c, verdict, client, path))
        except RegistryRefusedError as exc:
            why = str(exc)
            self._database.run(lambda c: repository.note_refusal(c, verdict.row, why))
            return why
        except RegistryError as exc:
            return f"{exc}; the next run tries again"

    def _remove_locked(
        self, connection: Connection, verdict: Verdict, client: RegistryClient, path: str
    ) -> str:
        """Remove the image while no job of the app can be created that counts on it."""
        row = verdict.row
        AppRepository(connection).lock(row.app_id)
        if repository.is_busy(connection, row.app_id):
            return "a job of the app is under way"
        if why := repository.refused_lately(connection, row, _REFUSED_SECONDS):
            return why
        if foreign := _foreign(connection, row, client, path):
            return f"the tag {foreign}, which the platform did not make, names the same image"
        client.remove(path, row.digest)
        repository.mark_pruned(connection, row, verdict.why)
        return ""


def _foreign(connection: Connection, row: Row, client: RegistryClient, path: str) -> str:
    own = repository.same_image(connection, row)
    return next((tag for tag in client.tags_of(path, row.digest) if tag not in own), "")


def _entry(verdict: Verdict, why_not: str) -> Entry:
    shown = Entry(**verdict.to_json())
    return Entry(shown.kind, shown.name, "keep", why_not) if why_not else shown
