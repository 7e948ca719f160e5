"""SQL of apps and their owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import delete, func, insert, or_, select, update

from funai.api import schema
from funai.api.apps.model import App, load_source
from funai.deploy.schema import NOW

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row, Select

Columns = TypeVar("Columns", bound=tuple[Any, ...])

_APP = schema.app


class AppRepository:
    """Reads and writes apps in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, app_id: str) -> App | None:
        """Return an app."""
        row = self._connection.execute(select(_APP).where(_APP.c.app_id == app_id)).first()
        return _app(row) if row else None

    def page(self, owner_id: int | None, search: str, offset: int, limit: int) -> list[App]:
        """Return apps by id.

        :param owner_id: whose; None: everybody's
        :param search: a part of id or name
        """
        query = _filtered(select(_APP), owner_id, search).order_by(_APP.c.app_id)
        return [_app(row) for row in self._connection.execute(query.offset(offset).limit(limit))]

    def names(self, owner_id: int | None, app_ids: Collection[str]) -> dict[str, str]:
        """Return the names of apps by id.

        :param owner_id: whose; None: everybody's
        """
        query = select(_APP.c.app_id, _APP.c.name).where(_APP.c.app_id.in_(app_ids))
        query = _filtered(query, owner_id, "")
        return {row.app_id: row.name for row in self._connection.execute(query)}

    def count(self, owner_id: int | None, search: str) -> int:
        """Return how many :meth:`page` has in all."""
        query = _filtered(select(func.count()).select_from(_APP), owner_id, search)
        return int(self._connection.execute(query).scalar() or 0)

    def add(self, app_id: str, owner_id: int, name: str) -> None:
        """Add an app."""
        values = {"app_id": app_id, "owner_id": owner_id, "name": name}
        self._connection.execute(insert(_APP).values(**values, create_time=NOW, update_time=NOW))

    def change(self, app_id: str, **values: str | bytes | int | None) -> None:
        """Set columns of an app."""
        statement = update(_APP).where(_APP.c.app_id == app_id)
        self._connection.execute(statement.values(**values, update_time=NOW))

    def hook_secret(self, app_id: str) -> bytes | None:
        """Return the encrypted secret of an app's hook."""
        query = select(_APP.c.hook_secret).where(_APP.c.app_id == app_id)
        found: bytes | None = self._connection.execute(query).scalar()
        return found

    def remove(self, app_id: str) -> None:
        """Forget an app."""
        self._connection.execute(delete(_APP).where(_APP.c.app_id == app_id))


def _filtered(query: Select[Columns], owner_id: int | None, search: str) -> Select[Columns]:
    if owner_id is not None:
        query = query.where(_APP.c.owner_id == owner_id)
    if search:
        fits = (
            _APP.c.app_id.contains(search, autoescape=True),
            _APP.c.name.contains(search, autoescape=True),
        )
        query = query.where(or_(*fits))
    return query


def _app(row: Row[tuple[object, ...]]) -> App:
    return App(row.app_id, row.owner_id, row.name, load_source(row.source_json), row.hook_branch)
