"""In which order the reaper works, and what it does where its database is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.deploy import reaper
from funai.deploy.config import Limits
from funai.deploy.errors import DatabaseAwayError
from funai.deploy.nodes import absence
from funai.deploy.nodes.absence import Absence
from funai.deploy.reaper import Reaper

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.deploy.parts import Parts

MINUTE = 60.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeDatabase:
    """Records what is asked for, by its name; ``is_away`` fails it all."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    def run(self, work: Callable[[Any], Any]) -> Any:
        if self.is_away:
            msg = "the database does not answer"
            raise DatabaseAwayError(msg)
        return work(self)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> FakeDatabase:
    """A database without jobs or nodes."""

    def mark(asked: FakeDatabase) -> float:
        asked.asked.append("mark")
        return 1.0  # Another Deploy was back first.

    def overdue(*_limits: object) -> list[object]:
        found.asked.append("overdue")
        return []

    found = FakeDatabase()
    jobs = SimpleNamespace(overdue=overdue, active_counts=dict)
    monkeypatch.setattr(absence, "mark", mark)
    monkeypatch.setattr(reaper, "JobRepository", lambda _: jobs)
    monkeypatch.setattr(reaper, "candidates", lambda *_: [])
    monkeypatch.setattr(reaper, "NodeRepository", lambda *_: SimpleNamespace(all=list))
    monkeypatch.setattr(Reaper, "_sweep", lambda _: None)
    return found


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5])
def test_reaper_knows_of_an_absence_before_it_ends_jobs(
    database: FakeDatabase, rounds: int
) -> None:
    clock = Clock()
    known = Absence(180, usual=5, clock=clock)
    known.note(None)
    made = Reaper(cast("Parts", parts(database, known)))
    for _ in range(rounds):
        clock.now += 1
        made.round()
    database.is_away = True
    for _ in range(5):
        clock.now += MINUTE
        with pytest.raises(DatabaseAwayError):
            made.round()
    database.is_away, database.asked = False, []

    made.round()

    assert database.asked == ["mark", "overdue"]
    assert known.lasts
    assert known.count == 1


def parts(database: FakeDatabase, known: Absence) -> SimpleNamespace:
    gauge = SimpleNamespace(set=lambda _: None)
    labelled = SimpleNamespace(labels=lambda *_: gauge)
    return SimpleNamespace(
        database=database,
        absence=known,
        node_stale=180,
        settings=SimpleNamespace(limits=Limits()),
        metrics=SimpleNamespace(database_up=gauge, active_jobs=labelled, nodes=labelled),
    )
