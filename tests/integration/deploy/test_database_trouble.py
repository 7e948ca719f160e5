"""A database that is busy, read-only, gone, or whose answer is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.deploy.commit_proxy import CommitProxy
from tests.integration.deploy_process import API, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.mariadb import MariaDb

BODY = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": "20002", "image": "a/b:1"}}


@pytest.fixture
def proxy(mariadb: MariaDb) -> Iterator[CommitProxy]:
    """A way to the database that can lose an answer."""
    found = CommitProxy(mariadb.port)
    yield found
    found.close()


def create(deploy: DeployProcess, key: str | None = None) -> requests.Response:
    headers = {**API, "Idempotency-Key": key} if key else API
    return requests.post(deploy.url + "/deploy/jobs", json=BODY, headers=headers, timeout=30)


def jobs(deploy: DeployProcess) -> list[str]:
    return [row["id"] for row in deploy.schema.rows("SELECT id FROM fun_ai_deploy_job")]


def fail_inserts(deploy: DeployProcess, number: int, times: int) -> None:
    """Let the database refuse that many new jobs with this error, as it would in earnest."""
    deploy.schema.execute(
        # Its rows stay where a transaction goes back.
        "CREATE TABLE trouble (left_over INT) ENGINE=MyISAM",
        f"INSERT INTO trouble VALUES ({times})",
        "CREATE TRIGGER trouble BEFORE INSERT ON fun_ai_deploy_job FOR EACH ROW BEGIN"
        " IF (SELECT left_over FROM trouble) > 0 THEN"
        " UPDATE trouble SET left_over = left_over - 1;"
        f" SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'trouble';"
        " END IF; END",
    )


@pytest.mark.parametrize("number", [1020, 1205, 1213])
def test_busy_database_is_asked_again(deploy: DeployProcess, number: int) -> None:
    fail_inserts(deploy, number, times=2)

    answer = create(deploy)

    assert answer.status_code == 200, answer.text
    assert jobs(deploy) == [answer.json()["data"]["id"]]


@pytest.mark.parametrize("number", [1020, 1205, 1213, 2006, 2013, 1290, 1836])
def test_trouble_that_lasts_is_said_with_when_to_come_again(
    deploy: DeployProcess, number: int
) -> None:
    fail_inserts(deploy, number, times=4)

    answer = create(deploy)

    assert (answer.status_code, answer.json()["code"]) == (503, 503)
    assert int(answer.headers["Retry-After"]) >= 1
    assert jobs(deploy) == []
    deploy.schema.execute("UPDATE trouble SET left_over = 0")
    assert create(deploy).status_code == 200


def test_lost_answer_to_a_commit_makes_one_job_by_its_key(
    start_deploy: Callable[..., DeployProcess], proxy: CommitProxy
) -> None:
    deploy = start_deploy(DEPLOY_DB_PORT=str(proxy.port))
    proxy.armed.set()

    first = create(deploy, "one-click")
    again = create(deploy, "one-click")

    assert proxy.has_cut.is_set()
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert jobs(deploy) == [first.json()["data"]["id"]]
    assert again.json()["data"]["id"] == first.json()["data"]["id"]


def test_lost_answer_without_a_key_is_said_and_the_job_found(
    start_deploy: Callable[..., DeployProcess], proxy: CommitProxy
) -> None:
    deploy = start_deploy(DEPLOY_DB_PORT=str(proxy.port))
    proxy.armed.set()

    first, again = create(deploy), create(deploy)

    assert proxy.has_cut.is_set()
    assert first.status_code == 503
    assert first.headers["Retry-After"]
    assert again.status_code == 409
    assert jobs(deploy)[0] in again.json()["message"]


def test_every_pooled_connection_comes_back_from_a_read_only_server(
    deploy: DeployProcess,
) -> None:
    server = deploy.schema.server

    def one_app(number: int) -> int:
        return deploy.create(f"app-{number}")[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one_app, range(8))) == {200}
        # Connections of before hold no write lock; from now on they may only read.
        server.execute("SET GLOBAL read_only = 1")
        try:
            refused = set(pool.map(one_app, range(8, 24)))
        finally:
            server.execute("SET GLOBAL read_only = 0")
        after = set(pool.map(one_app, range(24, 40)))

    assert refused == {503}
    assert after == {200}


def test_row_that_is_locked_longer_than_one_try_is_waited_for(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    deploy.report(deploy.claimed(), "SUCCEEDED")
    held = deploy.schema.server.connect(deploy.schema.name)
    held.begin()
    with held.cursor() as cursor:
        cursor.execute("SELECT * FROM fun_ai_deploy_app FOR UPDATE")
    # One try waits 5 s for a lock.
    release = threading.Timer(6, held.rollback)
    release.start()

    answer = create(deploy)

    release.join()
    held.close()
    assert answer.status_code == 200, answer.text
