"""Many apps and many jobs at once: what a console shows on one page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event

from funai.contract.status import JobStatus
from funai.deploy.apps.standings import read_standings
from funai.deploy.config import DatabaseSettings
from funai.deploy.database import url_of
from funai.deploy.jobs.repository import JobRepository
from tests.integration.deploy_process import API, DB_PASSWORD, DB_USER, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tests.integration.deploy_process import Schema

STALE_SECONDS = 180
MANY_JOBS = 100_000
#: The Java caller of the list waits for 1.5 s.
FAST_SECONDS = 1.0


@pytest.fixture
def connection(database: Schema) -> Iterator[Connection]:
    """A connection of the test's own to the schema."""
    settings = DatabaseSettings(
        host="127.0.0.1",
        port=database.server.port,
        name=database.name,
        user=DB_USER,
        password=DB_PASSWORD,
    )
    engine = create_engine(url_of(settings))
    with engine.connect() as found:
        yield found
    engine.dispose()


def statements(connection: Connection) -> list[tuple[str, Any]]:
    """Return a list to which statements are added from now on."""
    found: list[tuple[str, Any]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        found.append((statement, parameters))

    return found


def fill(database: Schema, count: int, status: str, *, app: str = "app") -> None:
    """Add jobs of one status, a second apart, each of an app of its own."""
    database.execute(
        "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, create_time,"
        " update_time, version) SELECT UUID(), 'BUILD_AND_DEPLOY', CONCAT('"
        f"{app}-', seq), '{status}', '{{}}', UTC_TIMESTAMP(6) - INTERVAL seq SECOND,"
        f" UTC_TIMESTAMP(6), 0 FROM seq_1_to_{count}"
    )


def apps(deploy: DeployProcess, *app_ids: str) -> list[dict[str, Any]]:
    query = "&".join(f"appId={app_id}" for app_id in app_ids)
    status, body = deploy.call("GET", f"/deploy/apps?{query}", None, API)
    assert status == 200, body
    found: list[dict[str, Any]] = body["data"]
    return found


def jobs(deploy: DeployProcess, query: str) -> list[dict[str, Any]]:
    status, body = deploy.call("GET", f"/deploy/jobs?{query}", None, API)
    assert status == 200, body
    found: list[dict[str, Any]] = body["data"]
    return found


def seconds_of(deploy: DeployProcess, query: str) -> float:
    began_at = time.monotonic()
    jobs(deploy, f"limit=200&{query}")
    return time.monotonic() - began_at


def test_apps_of_a_list_say_what_each_says_alone(deploy: DeployProcess) -> None:
    deploy.beat()
    for app_id in ("served", "building"):
        deploy.create(app_id)
        job = deploy.claimed()
        if app_id == "served":
            deploy.report(job, "SUCCEEDED")
    deploy.create("waiting")

    listed = apps(deploy, "waiting", "unknown", "served", "building", "served")

    alone = [
        deploy.call("GET", f"/deploy/apps/{app_id}", None, API)[1]["data"]
        for app_id in ("waiting", "served", "building")
    ]
    assert listed == alone
    assert [app["state"] for app in listed] == ["DEPLOYING", "RUNNING", "DEPLOYING"]
    waits, serves, builds = (app["job"] for app in listed)
    assert serves is None
    assert (waits["status"], waits["startedAt"]) == ("PENDING", None)
    assert builds["status"] == "RUNNING"
    assert builds["startedAt"] is not None
    assert set(builds) == {"id", "status", "phase", "phaseMessage", "createdAt", "startedAt"}


def test_of_two_jobs_of_an_app_the_one_that_runs_is_shown(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create("demo")
    running = deploy.claimed()
    body = {
        "type": "BUILD_AND_DEPLOY",
        "payload": {"appId": "demo", "image": "r.test/a:2"},
        "onConflict": "supersede",
    }
    assert deploy.call("POST", "/deploy/jobs", body, API)[0] == 200

    (found,) = apps(deploy, "demo")

    assert (found["job"]["id"], found["job"]["status"]) == (running["id"], "RUNNING")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("", "appId", id="none"),
        pytest.param("appId=a%20b", "appId", id="no id"),
        pytest.param("&".join(f"appId=a{n}" for n in range(201)), "200", id="too many"),
    ],
)
def test_a_list_of_apps_that_breaks_a_rule_is_refused(
    deploy: DeployProcess, query: str, says: str
) -> None:
    status, body = deploy.call("GET", f"/deploy/apps?{query}", None, API)

    assert (status, body["code"]) == (400, 400)
    assert says in body["message"]


def test_two_hundred_apps_take_as_many_queries_as_one(
    database: Schema, connection: Connection
) -> None:
    fill(database, 200, "RUNNING")
    ran = statements(connection)
    counts = []
    for number in (1, 200):
        before = len(ran)
        found = read_standings(connection, [f"app-{n + 1}" for n in range(number)], STALE_SECONDS)
        assert len(found) == number
        counts.append(len(ran) - before)

    assert counts == [5, 5]


def test_jobs_are_listed_by_status(deploy: DeployProcess) -> None:
    deploy.beat()
    ids = {}
    for app_id, end in (("done", "SUCCEEDED"), ("broken", "FAILED"), ("runs", None)):
        deploy.create(app_id)
        job = deploy.claimed()
        ids[app_id] = job["id"]
        if end:
            deploy.report(job, end)
    ids["waits"] = deploy.create("waits")[1]["data"]["id"]

    def listed(query: str) -> list[str]:
        return [job["appId"] for job in jobs(deploy, query)]

    assert listed("status=PENDING,RUNNING") == ["waits", "runs"]
    assert listed("status=FAILED, SUCCEEDED") == ["broken", "done"]
    assert listed("status=FAILED,SUCCEEDED,RUNNING&limit=2") == ["runs", "broken"]
    assert listed("status=CANCELLED") == []
    assert listed("limit=10") == ["waits", "runs", "broken", "done"]


def test_jobs_are_listed_by_app(deploy: DeployProcess) -> None:
    deploy.beat()
    for app_id in ("one", "two", "three"):
        deploy.create(app_id)
        deploy.report(deploy.claimed(), "SUCCEEDED")
    deploy.create("one")

    def listed(query: str) -> list[tuple[str, str]]:
        return [(job["appId"], job["status"]) for job in jobs(deploy, query)]

    ended = [("three", "SUCCEEDED"), ("one", "SUCCEEDED")]
    assert listed("appId=one&appId=three&appId=unknown") == [("one", "PENDING"), *ended]
    assert listed("appId=one&appId=three&status=SUCCEEDED,FAILED") == ended
    assert listed("appId=one&appId=two&limit=2") == [("one", "PENDING"), ("two", "SUCCEEDED")]


@pytest.mark.parametrize("words", ["", "DONE", "PENDING,", "pending"])
def test_a_status_that_no_job_has_is_refused(deploy: DeployProcess, words: str) -> None:
    status, body = deploy.call("GET", f"/deploy/jobs?status={words}", None, API)

    assert (status, body["code"]) == (400, 400)
    assert "status" in body["message"]
    assert "SUCCEEDED" in body["message"]


def test_a_few_jobs_of_a_status_are_found_among_many(
    deploy: DeployProcess, database: Schema, connection: Connection
) -> None:
    fill(database, MANY_JOBS, "SUCCEEDED")
    fill(database, 50, "FAILED", app="broken")
    fill(database, 3, "PENDING", app="waits")
    hundred = "&".join(f"appId=app-{number}" for number in range(900, 1000))
    ran = statements(connection)
    few = {JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FAILED}
    assert len(JobRepository(connection).newest(200, STALE_SECONDS, (), few)) == 53

    for query in (
        "status=PENDING,RUNNING",
        "status=PENDING,RUNNING,FAILED",
        "status=SUCCEEDED,FAILED",
        "status=SUCCEEDED",
        hundred,
        f"{hundred}&status=SUCCEEDED",
    ):
        assert min(seconds_of(deploy, query) for _ in range(3)) < FAST_SECONDS, query

    (statement, parameters), *others = ran
    assert not others
    plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings().all()
    read = [row for row in plan if row["table"] == "fun_ai_deploy_job"]
    assert {row["key"] for row in read} <= {"idx_fun_ai_deploy_job_status_time", "PRIMARY"}, read
    assert sum(int(row["rows"]) for row in read) < 1000, read
