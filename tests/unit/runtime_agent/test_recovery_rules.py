"""Which open journal entries a start goes on with."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.runtime_agent.apps import recovery as recovery_module
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.apps.recovery import Recovery
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database

if TYPE_CHECKING:
    from pathlib import Path

OPERATION = Operation(
    0, "shop", "7", "", 3, Phase.PREPARED, "rt-shop-3", "", 80, "app:1", "sha256:a", "sha256:b"
)


class Outcomes:
    """What became of entries, instead of a deployment."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def undo(self, operation: Operation, _reason: str) -> None:
        self.seen.append(("undone", operation.id))

    def finish(self, operation: Operation, _direct: object, _hold: object) -> None:
        self.seen.append(("finished", operation.id))


@pytest.fixture
def apps(tmp_path: Path) -> AppRepository:
    """The journal."""
    return AppRepository(Database(tmp_path / "agent.db"), ipaddress.IPv4Network("198.19.0.0/29"))


@pytest.mark.parametrize("is_repeated", [True, False])
def test_entry_whose_claim_was_carried_out_by_a_repeat_is_undone(
    apps: AppRepository, monkeypatch: pytest.MonkeyPatch, *, is_repeated: bool
) -> None:
    """The agent was killed when the first container was healthy; its runner asked again meanwhile."""
    monkeypatch.setattr(recovery_module, "wait_ready", lambda *_: None)
    outcomes = Outcomes()
    drained: list[object] = []
    first = apps.prepare(OPERATION, set(), pulled=False, number_name=False)
    apps.raise_fence("shop", 3)
    apps.advance(first, Phase.HEALTHY)
    if is_repeated:
        again = apps.prepare(OPERATION, set(), pulled=False, number_name=True)
        apps.switch(again, {}, 0)
    parts: Any = SimpleNamespace(apps=apps, holds=Holds(), containers=None)
    drains: Any = SimpleNamespace(begin=drained.append)

    Recovery(parts, cast("Any", outcomes), drains).run(lambda _app: True)

    assert outcomes.seen == [("undone" if is_repeated else "finished", first.id)]
