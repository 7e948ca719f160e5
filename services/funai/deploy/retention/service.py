"""Use case of retention: remove the images that no kept revision needs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from funai.deploy.placements.repository import AppRepository
from funai.deploy.registries.client import RegistryClient
from funai.deploy.registries.model import RegistryAwayError, RegistryError, RegistryRefusedError
from funai.deploy.retention import repository
from funai.deploy.retention.model import decide, removals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from funai.deploy.database import Database
    from funai.deploy.registries.model import Account
    from funai.deploy.retention.model import Entry, Row, Verdict

_NO_TIME = "left for the next run, this one's time was up"


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

    def prune(self, *, dry_run: bool, ends_at: float, app_id: str | None = None) -> list[Entry]:
        """Remove what is to go, and return what went and what stays; a registry that does not answer is no reason to stop.

        :param ends_at: on the monotonic clock; then no registry is asked or waited for any more
        :param app_id: look at this app's revisions only
        """
        verdicts = self._decide(app_id)
        done = [each.entry for each in verdicts if each.action == "keep"]
        with _Removal(self, ends_at, dry_run=dry_run) as removal:
            done += [removal.remove(each).entry for each in removals(verdicts)]
        return done

    def account(self, host: str) -> Account | None:
        """Return the account of a registry, or None."""
        return self._accounts.get(host)

    def own_tags(self, row: Row) -> set[str]:
        """Return the tags under which the platform itself pushed the image."""
        return self._database.run(lambda c: repository.own_tags(c, row))

    def tags_in_use(self, row: Row) -> set[str]:
        """Return the tags under which the platform pushed what the repository still holds."""
        return self._database.run(lambda c: repository.tags_in(c, row.repository))

    def remove(self, verdict: Verdict, client: RegistryClient, path: str) -> Verdict:
        """Remove an image that is still to go, while no job can be created that counts on it."""

        def work(connection: Connection) -> Verdict:
            AppRepository(connection).lock(verdict.row.app_id)
            # Since the decision the app may have gone back to it.
            now = self._decide_again(connection, verdict)
            if now.action == "remove":
                client.remove(path, now.row.digest)
                repository.mark_pruned(connection, now.row, now.why)
            return now

        return self._database.run(work)

    def note_refusal(self, verdict: Verdict, why: str) -> None:
        """Have this image left alone for a while."""
        self._database.run(lambda c: repository.note_refusal(c, verdict.row, why))

    def _decide(self, app_id: str | None) -> list[Verdict]:
        rows = self._database.run(lambda c: repository.rows(c, app_id))
        return [each for each in decide(rows, self._count) if app_id in {None, each.row.app_id}]

    def _decide_again(self, connection: Connection, verdict: Verdict) -> Verdict:
        verdicts = decide(repository.rows(connection, verdict.row.app_id), self._count)
        gone = replace(verdict, action="keep", why="another run has removed it meanwhile")
        return next((each for each in verdicts if each.row.key == verdict.row.key), gone)


class _Removal:
    """One run over what is to go. What a registry would refuse again it is not asked again."""

    def __init__(self, service: RetentionService, ends_at: float, *, dry_run: bool) -> None:
        self._service = service
        self._ends_at = ends_at
        self._dry_run = dry_run
        self._clients: dict[str, RegistryClient] = {}
        #: Why registries, by host, need not be asked any more in this run.
        self._away: dict[str, str] = {}
        #: The same for repositories.
        self._refused: dict[str, str] = {}
        #: By repository, tags that need no look: revisions say what they name.
        self._known_tags: dict[str, set[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for client in self._clients.values():
            client.close()

    def remove(self, verdict: Verdict) -> Verdict:
        """Remove one image; return what became of it."""
        if why := self._refused.get(verdict.row.repository):
            self._note_refusal(verdict, why)
        why = why or self._not_asked(verdict.row.host)
        return replace(verdict, action="keep", why=why) if why else self._ask(verdict)

    def _ask(self, verdict: Verdict) -> Verdict:
        try:
            return self._try(verdict)
        except RegistryRefusedError as exc:
            why = self._refused[verdict.row.repository] = str(exc)
            self._note_refusal(verdict, why)
        except RegistryAwayError as exc:
            why = self._away[verdict.row.host] = f"{exc}; the next run tries again"
        except RegistryError as exc:
            why = f"{exc}; the next run tries again"
        return replace(verdict, action="keep", why=why)

    def _note_refusal(self, verdict: Verdict, why: str) -> None:
        if not self._dry_run:
            self._service.note_refusal(verdict, why)

    def _not_asked(self, host: str) -> str:
        """Return why a registry is not asked, or nothing."""
        if self._service.account(host) is None:
            return f"there is no account for the registry {host}; give one in deploy_registries"
        if host in self._away:
            return self._away[host]
        return _NO_TIME if time.monotonic() >= self._ends_at else ""

    def _try(self, verdict: Verdict) -> Verdict:
        host, path = verdict.row.host, verdict.row.path
        account = self._service.account(host)
        if host not in self._clients and account is not None:
            self._clients[host] = RegistryClient(account, self._ends_at)
        client = self._clients[host]
        if verdict.row.repository not in self._known_tags:
            known = self._service.tags_in_use(verdict.row)
            self._known_tags[verdict.row.repository] = known
        own = self._service.own_tags(verdict.row) | self._known_tags[verdict.row.repository]
        # Before anything is locked: a repository may have many tags.
        if foreign := client.other_tag(path, verdict.row.digest, own):
            why = f"the tag {foreign}, which the platform did not make, names the same image"
            return replace(verdict, action="keep", why=why)
        return verdict if self._dry_run else self._service.remove(verdict, client, path)
