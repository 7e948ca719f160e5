"""Use cases on settings of apps: look, change, hand to the runner that deploys."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from funai.deploy.app_settings import repository
from funai.deploy.app_settings.keyring import KeyMissingError
from funai.deploy.app_settings.model import AppSettings, pack, unpack
from funai.deploy.jobs.model import lost_lease
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.service import unknown_job
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.app_settings.keyring import Keyring
    from funai.deploy.app_settings.model import Change
    from funai.deploy.database import Database

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """A runner that says that it holds a job."""

    job_id: str
    runner_id: str
    fence: int | None = None


class AppSettingsService:
    """Keeps settings.

    :param keyring: seals environments before they reach the database
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def get(self, app_id: str) -> AppSettings:
        """Return the app's settings; those of an app without any are at version 0.

        :raises KeyMissingError: where its environment cannot be decrypted
        """
        return self._database.run(lambda c: self._get(c, app_id))

    def change(self, app_id: str, change: Change) -> AppSettings:
        """Change the app's settings; its next deploy runs with them.

        :raises ConflictError: where the change was made for another version
        :raises InvalidRequestError: naming the variable and the rule
        """

        def work(connection: Connection) -> tuple[AppSettings, AppSettings]:
            AppRepository(connection).lock(app_id)
            before = self._get(connection, app_id)
            after = before.with_change(change, repository.now(connection))
            if after is not before:
                self._save(connection, after)
            return before, after

        before, after = self._database.run(work)
        if after is not before:
            _LOG.info("settings of an app changed", extra={"fields": _traces(before, after)})
        return after

    def for_job(self, holder: Holder) -> AppSettings:
        """Return the settings of a job's app for the runner that holds it.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where the runner does not hold it, or not any more
        """

        def work(connection: Connection) -> AppSettings:
            found = JobRepository(connection).get(holder.job_id)
            if found is None:
                raise unknown_job(holder.job_id)
            if not repository.is_held(connection, holder.job_id, holder.runner_id, holder.fence):
                raise lost_lease(found, holder.runner_id, holder.fence)
            return self._get(connection, found.app_id)

        return self._database.run(work)

    def _get(self, connection: Connection, app_id: str) -> AppSettings:
        version, shape, sealed = repository.get(connection, app_id)
        if sealed is None:
            return AppSettings(app_id, version, shape)
        content = self._keyring.open(sealed, f"app {app_id}")
        try:
            return AppSettings(app_id, version, shape, unpack(app_id, content))
        except ValueError as exc:
            raise KeyMissingError(str(exc)) from exc

    def _save(self, connection: Connection, settings: AppSettings) -> None:
        app_id, variables = settings.app_id, settings.variables
        sealed = self._keyring.seal(pack(app_id, variables)) if variables else None
        repository.save(connection, app_id, settings.version, settings.shape, sealed)


def renew_all(database: Database, keyring: Keyring) -> tuple[int, list[str]]:
    """Seal every environment by the newest key; return how many were not, and what cannot be opened."""
    renewed, lost = 0, []
    for app_id in database.run(repository.apps_with_environment):
        try:
            renewed += database.run(partial(_renew, keyring=keyring, app_id=app_id))
        except KeyMissingError as exc:
            lost.append(str(exc))
    return renewed, lost


def _renew(connection: Connection, *, keyring: Keyring, app_id: str) -> bool:
    sealed = repository.lock_environment(connection, app_id)
    if sealed is None or keyring.is_newest(sealed):
        return False
    content = keyring.open(sealed, f"app {app_id}")
    repository.reseal(connection, app_id, keyring.seal(content))
    return True


def _traces(before: AppSettings, after: AppSettings) -> dict[str, object]:
    """Say what changed, names only."""
    old, new = before.environment, after.environment
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    return {"appId": after.app_id, "version": after.version, "variables": sorted(names)}
