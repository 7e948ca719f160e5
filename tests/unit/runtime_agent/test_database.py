"""A state file of an earlier agent is taken over as it is; a healthy one is never set aside."""

from __future__ import annotations

import ipaddress
import sqlite3
from typing import TYPE_CHECKING

import pytest

from funai.runtime_agent.apps.model import AppState, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")
# As the agent wrote it before releases and warm containers.
EARLIER = """
CREATE TABLE app (
    app_id TEXT PRIMARY KEY, user_id TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
    max_fence INTEGER NOT NULL DEFAULT 0, closed_fence INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0, job_id TEXT NOT NULL DEFAULT '',
    container_name TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT '',
    port INTEGER NOT NULL DEFAULT 0, image TEXT NOT NULL DEFAULT '',
    image_digest TEXT NOT NULL DEFAULT '', image_id TEXT NOT NULL DEFAULT '',
    previous_image_id TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '{}');
CREATE TABLE operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app_id TEXT NOT NULL, user_id TEXT NOT NULL,
    job_id TEXT NOT NULL, fence INTEGER NOT NULL, phase TEXT NOT NULL,
    container_name TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL,
    image TEXT NOT NULL, image_digest TEXT NOT NULL, image_id TEXT NOT NULL,
    replaced TEXT NOT NULL DEFAULT '[]', reason TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX operation_open ON operation (phase, app_id);
CREATE TABLE image (
    app_id TEXT NOT NULL, image_id TEXT NOT NULL, image_digest TEXT NOT NULL,
    pulled INTEGER NOT NULL, PRIMARY KEY (app_id, image_id));
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO app VALUES ('shop', '7', 'DEPLOYED', 9, 8, 8, 'job-8', 'rt-shop-8', '198.19.0.9', 80,
    'app:2', 'sha256:d2', 'sha256:i2', 'sha256:i1', '{"status": "DEPLOYED"}');
INSERT INTO operation VALUES (5, 'shop', '7', 'job-9', 9, 'STARTED', 'rt-shop-9', '198.19.0.10',
    80, 'app:3', 'sha256:d3', 'sha256:i3', '[["rt-shop-8", "198.19.0.9"]]', '', 1.0, 1.0);
INSERT INTO image VALUES ('shop', 'sha256:i3', 'sha256:d3', 1);
INSERT INTO image VALUES ('shop', 'sha256:i1', 'sha256:d1', 1);
INSERT INTO image VALUES ('shop', 'sha256:i2', 'sha256:d2', 1);
INSERT INTO setting VALUES ('last_address', '8');
"""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    path = tmp_path / "agent.db"
    connection = sqlite3.connect(path)
    connection.executescript(EARLIER)
    connection.close()
    return path


def test_file_of_an_earlier_agent_is_taken_over(earlier: Path) -> None:
    apps = AppRepository(Database(earlier), SUBNET)

    app = apps.get("shop")
    assert (app.state, app.max_fence, app.answer) == (AppState.DEPLOYED, 9, {"status": "DEPLOYED"})
    assert (app.release, app.health_path, app.route) == ("", "/", "198.19.0.9:80")
    (operation,) = apps.open_operations([Phase.STARTED])
    assert (operation.reused, operation.route) == (False, "198.19.0.10:80")
    assert operation.replaced == (("rt-shop-8", "198.19.0.9"),)
    assert apps.warm("shop") is None
    # Running, then previous; the one that never served is no revision to go back to.
    assert [image.image_id for image in apps.images()] == ["sha256:i2", "sha256:i1", "sha256:i3"]
    assert apps.images()[2].deployed_at == 0


def test_file_that_was_taken_over_works_and_opens_again(earlier: Path) -> None:
    apps = AppRepository(Database(earlier), SUBNET)
    (operation,) = apps.open_operations([Phase.STARTED])
    apps.switch(operation, {}, 600)

    again = AppRepository(Database(earlier), SUBNET)

    warm = again.warm("shop")
    assert warm is not None
    assert (warm.container_name, warm.image_id) == ("rt-shop-8", "sha256:i2")
    assert [image.image_id for image in again.images()] == ["sha256:i3", "sha256:i2", "sha256:i1"]
    assert [entry.name for entry in earlier.parent.iterdir() if "damaged" in entry.name] == []


def test_file_that_another_process_writes_is_not_set_aside(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **_: connect(path, timeout=0.05))
    writer = connect(earlier, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Database(earlier)

    writer.execute("ROLLBACK")
    writer.close()
    assert [entry.name for entry in earlier.parent.iterdir() if "damaged" in entry.name] == []
