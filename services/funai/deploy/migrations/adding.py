"""Adds what a table lacks. MySQL has no ``ADD COLUMN IF NOT EXISTS``, and a try may have been cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = ("COLUMNS", "COLUMN_NAME")
_INDEXES = ("STATISTICS", "INDEX_NAME")


def add_columns(connection: Connection, table: str, columns: dict[str, str]) -> None:
    """Add the columns that are not there, given as name and kind."""
    there = _names(connection, _COLUMNS, table)
    _alter(connection, table, [f"ADD COLUMN {n} {k}" for n, k in columns.items() if n not in there])


def add_keys(connection: Connection, table: str, keys: dict[str, str]) -> None:
    """Add the keys that are not there, given as name and declaration with ``{}`` for the name."""
    there = _names(connection, _INDEXES, table)
    _alter(connection, table, [f"ADD {k.format(n)}" for n, k in keys.items() if n not in there])


def drop_key(connection: Connection, table: str, key: str) -> None:
    """Drop a key if it is there."""
    if key in _names(connection, _INDEXES, table):
        _alter(connection, table, [f"DROP KEY {key}"])


def _alter(connection: Connection, table: str, changes: list[str]) -> None:
    if changes:
        connection.execute(text(f"ALTER TABLE {table} {', '.join(changes)}"))


def _names(connection: Connection, kind: tuple[str, str], table: str) -> set[str]:
    view, column = kind
    query = text(
        f"SELECT {column} FROM information_schema.{view}"  # noqa: S608 - constants of this file
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :table"
    )
    return {str(name).lower() for name in connection.execute(query, {"table": table}).scalars()}
