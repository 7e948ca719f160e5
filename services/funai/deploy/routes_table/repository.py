"""Where routes and their version are kept. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from funai.deploy.routes_table.model import Table, Target
from funai.deploy.schema import app, node, route_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ONLY_ROW = 1


def version(connection: Connection) -> int:
    """Return the table's version; it changes whenever a route does."""
    found = connection.execute(
        select(route_version.c.version).where(route_version.c.id == _ONLY_ROW)
    ).scalar()
    return 0 if found is None else int(found)


def bump_version(connection: Connection) -> None:
    """Make a new version. The last lock that a transaction takes."""
    changed = connection.execute(
        update(route_version)
        .where(route_version.c.id == _ONLY_ROW)
        .values(version=route_version.c.version + 1)
    )
    if changed.rowcount == 0:
        connection.execute(insert(route_version).values(id=_ONLY_ROW, version=1))


def read_table(connection: Connection) -> Table:
    """Return all routes, by app id."""
    # The version first: what is committed in between comes with the next version once more.
    found = version(connection)
    rows = connection.execute(
        select(app.c.app_id, node.c.gateway_base_url)
        .join(node, node.c.id == app.c.route_node_id)
        .order_by(app.c.app_id)
    )
    return Table(found, tuple(Target(row.app_id, row.gateway_base_url or "") for row in rows))
