"""What reapers end, and what they leave alone, over a real database."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from funai.deploy import database as databases
from funai.deploy.app import create_app
from funai.deploy.config import Settings
from funai.deploy.database import make_engine
from funai.deploy.errors import DatabaseAwayError
from funai.deploy.nodes.absence import Absence
from funai.deploy.reaper import Reaper
from tests.integration.deploy_process import ADMIN, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.deploy_process import DeployProcess, Schema

WINDOW = 180


class Clock:
    """Of this process; the database has its own."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """What the reapers measure time with."""
    return Clock()


@pytest.fixture
def make_reaper(database: Schema, clock: Clock) -> Iterator[Callable[..., Reaper]]:
    """Make reapers that look when they are told to; settings by keyword."""
    with ExitStack() as ends:

        def make(**settings: str) -> Reaper:
            env = {**SECRETS, **database.env(), **settings}
            read = Settings.from_env(env)
            engine = make_engine(read.database, pool_size=4)
            ends.callback(engine.dispose)
            parts = create_app(read, engine).parts
            return Reaper(replace(parts, absence=Absence(WINDOW, 5, clock)))

        yield make


def claimed_for_the_last_time(deploy: DeployProcess, app_id: str) -> dict[str, Any]:
    """Claim a job of the app whose last lease has run out."""
    deploy.create(app_id)
    job = deploy.claimed()
    query = "UPDATE fun_ai_deploy_job SET attempt = 3, lease_expire_at = 1 WHERE id = '{}'"
    deploy.schema.execute(query.format(job["id"]))
    return job


def status(deploy: DeployProcess, job: dict[str, Any]) -> str:
    rows = deploy.schema.rows("SELECT status FROM fun_ai_deploy_job WHERE id = %s", job["id"])
    return str(rows[0]["status"])


@pytest.fixture
def front(start_deploy: Callable[..., DeployProcess]) -> DeployProcess:
    """A Deploy for requests, with a node; its own reaper does not come to look."""
    found = start_deploy(DEPLOY_REAPER_SECONDS="60")
    for _ in range(2):
        found.beat()
    return found


def test_two_deploys_judge_nobody_after_their_database_was_away(
    front: DeployProcess, make_reaper: Callable[..., Reaper], clock: Clock
) -> None:
    reapers = [make_reaper(), make_reaper()]
    # Until the window after their own start is over.
    for _ in range(8):
        clock.now += WINDOW / 6
        for reaper in reapers:
            reaper.round()
    job = claimed_for_the_last_time(front, "shop")
    clock.now += 300
    front.schema.execute("UPDATE fun_ai_deploy_alive SET at = at - INTERVAL 300 SECOND")

    for reaper in reapers:
        reaper.round()

    assert status(front, job) == "RUNNING"
    for _ in range(7):
        clock.now += WINDOW / 6
        for reaper in reapers:
            reaper.round()
    assert status(front, job) == "FAILED"


def test_job_whose_app_somebody_holds_keeps_no_other_from_its_end(
    front: DeployProcess, make_reaper: Callable[..., Reaper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        databases, "SESSION", databases.SESSION.replace("timeout = 5", "timeout = 1")
    )
    held, free = (claimed_for_the_last_time(front, app_id) for app_id in ("held", "free"))
    reaper = make_reaper()
    holder = front.schema.server.connect(front.schema.name)
    try:
        holder.begin()
        with holder.cursor() as cursor:
            cursor.execute("SELECT * FROM fun_ai_deploy_app WHERE app_id = 'held' FOR UPDATE")

        reaper.round()

        assert (status(front, held), status(front, free)) == ("RUNNING", "FAILED")
        holder.rollback()
    finally:
        holder.close()
    reaper.round()
    assert status(front, held) == "FAILED"


def test_round_ends_where_the_database_goes(
    front: DeployProcess, make_reaper: Callable[..., Reaper]
) -> None:
    jobs = [claimed_for_the_last_time(front, app_id) for app_id in ("one", "two")]
    front.schema.execute(
        "CREATE TRIGGER gone BEFORE UPDATE ON fun_ai_deploy_job FOR EACH ROW"
        " SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 2013, MESSAGE_TEXT = 'gone'"
    )

    with pytest.raises(DatabaseAwayError):
        make_reaper().round()

    assert [status(front, job) for job in jobs] == ["RUNNING"] * 2


def test_every_job_that_waits_is_told_why(
    front: DeployProcess, make_reaper: Callable[..., Reaper]
) -> None:
    node = "/admin/runtime-nodes/set-enabled?name=node-1&enabled=off"
    front.call("POST", node, None, ADMIN)
    for number in range(51):
        front.create(f"app-{number}")
    reaper = make_reaper()

    for _ in range(3):
        reaper.round()

    rows = front.schema.rows(
        "SELECT reason_code, COUNT(*) AS n FROM fun_ai_deploy_job GROUP BY reason_code"
    )
    assert rows == [{"reason_code": "NO_NODE", "n": 51}]
    front.call("POST", node.replace("off", "on"), None, ADMIN)
    for _ in range(3):
        reaper.round()
    rows = front.schema.rows("SELECT DISTINCT reason_code FROM fun_ai_deploy_job")
    assert rows == [{"reason_code": "NO_RUNNER"}]
