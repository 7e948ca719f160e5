"""Rows of sealed settings: one for each that the app's record or an open journal entry names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from funai.runtime_agent.apps.model import Phase


def keep(connection: sqlite3.Connection, app_id: str, mark: str, sealed: bytes) -> None:
    """Keep settings under the word that stands for them; an app without any needs no row."""
    if mark:
        connection.execute(
            "REPLACE INTO app_settings (app_id, mark, sealed) VALUES (?, ?, ?)",
            (app_id, mark, sealed),
        )


def read(connection: sqlite3.Connection, app_id: str, mark: str) -> bytes | None:
    """Return the sealed settings, or None."""
    row = connection.execute(
        "SELECT sealed FROM app_settings WHERE app_id = ? AND mark = ?", (app_id, mark)
    ).fetchone()
    return None if row is None else bytes(row["sealed"])


def forget_unused(
    connection: sqlite3.Connection, app_id: str, ended: tuple[Phase, Phase], gone: str
) -> None:
    """Drop what no container of the app can be made with again.

    :param ended: phases of journal entries that need nothing any more
    :param gone: state of an app that has no container
    """
    connection.execute(
        "DELETE FROM app_settings WHERE app_id = ?1"
        " AND mark NOT IN (SELECT settings FROM app WHERE app_id = ?1 AND state != ?2)"
        " AND mark NOT IN"
        " (SELECT settings FROM operation WHERE app_id = ?1 AND phase NOT IN (?3, ?4))",
        (app_id, gone, *ended),
    )
