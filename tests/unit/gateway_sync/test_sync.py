"""Deploy's table on an edge whose disk is full for a while."""

from __future__ import annotations

import logging
import tempfile
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway_sync.store import TableStore
from funai.gateway_sync.sync import Sync
from funai.gateway_sync.table import Table
from tests.unit.gateway.fakes import FakeHaproxy, full_disk

if TYPE_CHECKING:
    from pathlib import Path

    from funai.gateway_sync.client import RouteClient

OLD = Table(41, {"shop": "198.19.0.2:80"})
NEW = Table(42, {"shop": "198.19.0.3:80"})


class Deploy:
    """Answers each question with its whole table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def routes(self, _since_version: int, _wait_seconds: int) -> dict[str, Any]:
        routes = [{"appId": app, "address": to} for app, to in self.table.routes.items()]
        return {"code": 200, "data": {"version": self.table.version, "routes": routes}}


class Edge:
    """A gateway, the sync beside it, and the folder of both."""

    def __init__(self, folder: Path) -> None:
        self.haproxy = FakeHaproxy(folder / "routes.map")
        self.routes = HaproxyMap(self.haproxy.path, self.haproxy)
        self.store = TableStore(folder)
        self.deploy = Deploy(OLD)
        self.sync = self.start()

    def start(self) -> Sync:
        """Begin as after a restart of the host."""
        sync = Sync(cast("RouteClient", self.deploy), self.routes, self.store)
        sync.restore()
        return sync

    def follow(self) -> None:
        assert self.sync.follow_once(0, full=True)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    edge = Edge(tmp_path)
    edge.follow()
    edge.deploy.table = NEW
    return edge


def test_table_that_could_not_be_stored_is_stored_once_there_is_room(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 1
    saving = edge.store.save

    def save(table: Table) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            full_disk()
        saving(table)

    monkeypatch.setattr(edge.store, "save", save)
    edge.follow()
    assert edge.store.load() == OLD

    edge.follow()
    edge.sync.heal_once()

    assert edge.store.load() == NEW


def test_gateway_follows_deploy_though_the_disk_is_full(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkstemp", full_disk)
        edge.follow()
        assert edge.haproxy.table == NEW.routes
        assert edge.routes.saved() == OLD.routes
        edge.sync.heal_once()
        edge.sync.heal_once()
    warnings = [each for each in caplog.messages if "No space left on device" in each]
    assert len(warnings) == 2, "one of the store, one of the map file"

    with caplog.at_level(logging.INFO):
        edge.sync.heal_once()

    assert {"store works again", "gateway works again"} <= set(caplog.messages)
    assert edge.routes.saved() == NEW.routes
    edge.start()
    assert edge.haproxy.table == NEW.routes


def test_routes_of_a_gateway_that_is_down_are_in_its_file(edge: Edge) -> None:
    edge.haproxy.down = True

    edge.follow()

    assert edge.routes.saved() == NEW.routes
