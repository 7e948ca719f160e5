"""A reconcile that pulls an image again lets a newer request have the app."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.model import App, AppState
from funai.runtime_agent.apps.reconcile import Reconciler
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.conditions import Conditions
from funai.runtime_agent.database import Database
from funai.runtime_agent.vault import Vault
from tests.unit.runtime_agent.test_repository import SUBNET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOP = App("shop", "7", AppState.DEPLOYED, 1, 1, 1, image="app:1", container_name="rt-shop-1")


class StalledPull:
    """Images of a registry that never gets on."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    def local(self, _reference: str) -> bool:
        return False

    def resolve(self, _text: str, check: Callable[[], None]) -> None:
        self.began.set()
        while not self.ended.wait(0.05):
            check()


def test_newer_request_ends_the_pull_of_a_reconcile(tmp_path: Path) -> None:
    apps = AppRepository(Database(tmp_path / "agent.db"), SUBNET)
    apps.save(SHOP)
    pull, holds, conditions = StalledPull(), Holds(), Conditions(lambda: 1.0)
    vault = Vault(tmp_path / "settings.key")
    apps.keep_settings("shop", "", vault.seal(AppSettings()))
    engine = SimpleNamespace(ensure_network=dict, seen=dict, find=lambda _name: None)
    parts: Any = SimpleNamespace(
        apps=apps,
        containers=engine,
        images=pull,
        gateway=SimpleNamespace(saved=dict, live=dict, set=lambda *_: None),
        holds=holds,
        vault=vault,
        warm_seconds=0,
        stopping=threading.Event(),
    )
    idle: Any = SimpleNamespace(run=lambda *_: None, is_done=lambda _app: True)
    look = threading.Thread(target=Reconciler(parts, idle, idle, conditions).run, daemon=True)
    look.start()
    assert pull.began.wait(5)

    try:
        with holds.take("shop", "deploy", wait_seconds=5, cancel=True, fence=2):
            pass
    finally:
        pull.ended.set()
    look.join(5)

    assert not look.is_alive()
    assert all(told["ok"] for told in conditions.as_answer().values())
