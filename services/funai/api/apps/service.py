"""Which apps an account may see, and whose they become. One method, one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from funai.api.apps import model
from funai.api.apps.repository import AppRepository
from funai.api.errors import ConflictingError, UnknownError

if TYPE_CHECKING:
    from collections.abc import Collection

    from funai.api.accounts.model import Account
    from funai.api.apps.model import App
    from funai.deploy.database import Database


class AppService:
    """Apps and their owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account: Account, app_id: str) -> App:
        """Return an app that the account may see.

        :raises UnknownError: where there is none, or it is somebody else's: both sound the same
        """
        found = self._database.run(lambda c: AppRepository(c).get(app_id))
        if found is None or not _may_see(account, found):
            msg = f"app {app_id[:64]} does not exist, or is not yours"
            raise UnknownError(msg)
        return found

    def find(self, account: Account, app_id: str) -> App | None:
        """Return an app that the account may see; None where nobody has it.

        :raises UnknownError: where it is somebody else's
        """
        known = self._database.run(lambda c: AppRepository(c).get(app_id))
        return known and self.get(account, app_id)

    def page(
        self,
        account: Account,
        *,
        search: str = "",
        offset: int = 0,
        limit: int = 50,
        owner_id: int | None = None,
    ) -> tuple[list[App], int]:
        """Return apps that the account may see, by id, and how many there are in all.

        :param owner_id: whose, where an operator asks; None: everybody's
        """
        owner = owner_id if account.is_operator else account.id

        def read(apps: AppRepository) -> tuple[list[App], int]:
            return apps.page(owner, search, offset, limit), apps.count(owner, search)

        return self._database.run(lambda c: read(AppRepository(c)))

    def names(self, account: Account, app_ids: Collection[str]) -> dict[str, str]:
        """Return the names, by id, of those of the apps that the account may see."""
        owner = None if account.is_operator else account.id
        return self._database.run(lambda c: AppRepository(c).names(owner, app_ids))

    def create(self, owner_id: int, app_id: str, name: str) -> App:
        """Create an app.

        :raises InvalidInputError: naming the field
        :raises ConflictingError: where the id is taken
        """
        app_id, name = model.check_app_id(app_id), model.check_app_name(name or app_id)
        try:
            self._database.run(lambda c: AppRepository(c).add(app_id, owner_id, name))
        except IntegrityError as exc:
            msg = f"the app id {app_id} is taken; choose another"
            raise ConflictingError(msg) from exc
        return model.App(app_id, owner_id, name)

    def remember_source(self, app: App, payload: dict[str, Any]) -> None:
        """Keep what an app was deployed from, for the next time.

        :raises InvalidInputError: naming the field
        """
        text = model.dump_source(model.check_source(payload))
        self._database.run(lambda c: AppRepository(c).change(app.app_id, source_json=text))

    def rename(self, app: App, name: str) -> None:
        """Give an app another name for people.

        :raises InvalidInputError: where it breaks the rule
        """
        name = model.check_app_name(name)
        self._database.run(lambda c: AppRepository(c).change(app.app_id, name=name))

    def forget(self, app: App) -> None:
        """Remove an app from the list; what runs of it is Deploy's."""
        self._database.run(lambda c: AppRepository(c).remove(app.app_id))


def _may_see(account: Account, app: App) -> bool:
    return account.is_operator or app.owner_id == account.id
