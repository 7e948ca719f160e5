"""A state file that was cut, bit-flipped or put back from an old copy never stops the agent."""

from __future__ import annotations

import ipaddress
import random
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from funai.runtime_agent.apps import rows
from funai.runtime_agent.apps.model import App, AppState, Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")
SHOP = App("shop", "7", AppState.DEPLOYED, 9, 9, 9, "", "rt-shop-9", "198.19.0.9", 80)


def open_state(path: Path) -> AppRepository:
    return AppRepository(Database(path, rows.check), SUBNET)


@pytest.fixture
def healthy(tmp_path: Path) -> bytes:
    """Return the bytes of a state file with some history."""
    path = tmp_path / "healthy.db"
    apps = open_state(path)
    apps.save(SHOP)
    for fence in range(1, 30):
        operation = Operation(
            0, "shop", "7", "", fence, Phase.PREPARED, f"rt-shop-{fence}", "", 80, "a", "d", "i"
        )
        prepared = apps.prepare(operation, set(), pulled=True, number_name=False)
        apps.advance(prepared, Phase.UNDONE if fence < 29 else Phase.HEALTHY)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def use(apps: AppRepository) -> None:
    apps.all()
    apps.all_warm()
    apps.images()
    apps.wanted()
    apps.open_operations(list(Phase))
    apps.raise_fence("blog", 3)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_cut_file_is_read_or_set_aside(tmp_path: Path, healthy: bytes, share: float) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(healthy[: int(len(healthy) * share)])

    use(open_state(path))


def test_no_flipped_bit_stops_the_agent(tmp_path: Path, healthy: bytes) -> None:
    choose = random.Random(3)  # noqa: S311 - offsets, no secret
    # The file's header, where a bit may do most; then anywhere.
    offsets = [*range(100), *(choose.randrange(len(healthy)) for _ in range(60))]
    for number, offset in enumerate(offsets):
        path = tmp_path / f"agent-{number}.db"
        flipped = bytearray(healthy)
        flipped[offset] ^= 1 << choose.randrange(8)
        path.write_bytes(flipped)

        use(open_state(path))


def test_column_of_another_name_is_found_out(tmp_path: Path, healthy: bytes) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(healthy)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE image RENAME COLUMN pulled TO pulme")
    connection.close()

    use(open_state(path))

    assert list(tmp_path.glob("agent.db.damaged-*"))


def test_flipped_fence_is_found_out_and_taken_from_the_journal(
    tmp_path: Path, healthy: bytes
) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(healthy)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE app SET max_fence = max_fence | (1 << 40)")
    connection.commit()
    connection.close()

    found = open_state(path).get("shop")

    assert (found.state, found.max_fence) == (AppState.NEW, 29)


def test_record_of_an_agent_without_settings_stays(tmp_path: Path, healthy: bytes) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(healthy)
    connection = sqlite3.connect(path)
    for table in ("app", "operation", "warm"):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN settings")
    connection.execute("DROP TABLE app_settings")
    connection.commit()
    connection.close()

    assert open_state(path).get("shop") == SHOP
    assert not list(tmp_path.glob("agent.db.damaged-*"))


def test_record_that_reads_stays(tmp_path: Path, healthy: bytes) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(healthy)

    assert open_state(path).get("shop") == SHOP


def test_journal_entry_that_no_longer_reads_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    open_state(path).prepare(
        replace(OPERATION, app_id="shop"), set(), pulled=False, number_name=False
    )
    connection = sqlite3.connect(path)
    connection.execute("UPDATE operation SET phase = 'PREPCRED'")
    connection.commit()
    connection.close()

    apps = open_state(path)

    assert apps.wanted() == {}


OPERATION = Operation(0, "shop", "7", "", 1, Phase.PREPARED, "rt-shop-1", "", 80, "a", "d", "i")
