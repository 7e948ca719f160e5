"""The first migration on real tables: empty, adopted with rows, cut off in the middle."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.integration.deploy_process import (
    ADMIN,
    API,
    DB_PASSWORD,
    DeployProcess,
    process_env,
    run_command,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.deploy_process import Schema

#: As the earlier Deploy made them (contract, section 6), in a collation that ignores case.
PRODUCTION = (
    """CREATE TABLE fun_ai_deploy_runtime_node (
      id BIGINT PRIMARY KEY, name VARCHAR(128) NOT NULL, agent_base_url VARCHAR(512) NOT NULL,
      gateway_base_url VARCHAR(512) NOT NULL, enabled INT NOT NULL DEFAULT 1,
      weight INT NOT NULL DEFAULT 100, last_heartbeat_at DATETIME(6), disk_free_pct DOUBLE,
      disk_free_bytes BIGINT, container_count INT, create_time DATETIME(6), update_time DATETIME(6),
      UNIQUE KEY uk_fun_ai_deploy_runtime_node_name (name))""",
    """CREATE TABLE fun_ai_deploy_runtime_placement (
      app_id VARCHAR(128) PRIMARY KEY, node_id BIGINT NOT NULL, last_active_at BIGINT,
      create_time DATETIME(6), update_time DATETIME(6))""",
    """CREATE TABLE fun_ai_deploy_job (
      id VARCHAR(64) PRIMARY KEY, type VARCHAR(64) NOT NULL, app_id VARCHAR(64),
      status VARCHAR(32) NOT NULL, payload_json TEXT, error_message VARCHAR(1024),
      runner_id VARCHAR(128), lease_expire_at BIGINT, create_time DATETIME(6),
      update_time DATETIME(6), version BIGINT,
      KEY a (status, create_time), KEY b (app_id, status, create_time), KEY c (runner_id),
      KEY d (lease_expire_at))""",
    """CREATE TABLE fun_ai_deploy_app_run (
      app_id VARCHAR(128) PRIMARY KEY, node_id BIGINT, last_job_id VARCHAR(64),
      last_job_status VARCHAR(32), last_error VARCHAR(1024), last_deployed_at BIGINT,
      last_active_at BIGINT, create_time DATETIME(6), update_time DATETIME(6))""",
)
#: 20:00 in Shanghai is 12:00 UTC.
LOCAL, UTC = "2026-03-01 20:00:00.000001", datetime(2026, 3, 1, 12, 0, 0, 1)  # noqa: DTZ001
TABLES = [statement.split()[2] for statement in PRODUCTION]
OWN_TABLES = [
    *TABLES,
    "fun_ai_deploy_app",
    "fun_ai_deploy_job_event",
    "fun_ai_deploy_revision",
    "fun_ai_deploy_job_log",
    "fun_ai_deploy_job_log_chunk",
    "fun_ai_deploy_runner",
    "fun_ai_deploy_route_version",
    "fun_ai_deploy_alive",
    "fun_ai_deploy_webhook_delivery",
    "fun_ai_deploy_leftover",
    "fun_ai_deploy_app_settings",
    "fun_ai_deploy_alembic_version",
]


def migrate(schema: Schema, *args: str) -> str:
    done = run_command(process_env(schema), "migrate", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def add_job(schema: Schema, job_id: str, app_id: str, status: str, created: str = LOCAL) -> None:
    payload = f'{{"appId":"{app_id}","userId":7,"image":"a/b:1"}}'
    schema.execute(
        "INSERT INTO fun_ai_deploy_job (id,type,app_id,status,payload_json,create_time,update_time)"
        f" VALUES ('{job_id}','BUILD_AND_DEPLOY','{app_id}','{status}','{payload}',"
        f"'{created}','{created}')"
    )


@pytest.fixture
def production(empty_schema: Schema) -> Schema:
    """The earlier Deploy's tables with rows."""
    schema = empty_schema
    schema.execute(*(f"{made} COLLATE utf8mb4_general_ci" for made in PRODUCTION))
    for number in (1, 2):
        schema.execute(
            f"INSERT INTO fun_ai_deploy_runtime_node VALUES ({number},'node-{number}',"
            f"'http://127.0.0.{number}:7005','http://127.0.0.{number}:80',1,100,'{LOCAL}',50,1,2,"
            f"'{LOCAL}','{LOCAL}')"
        )
    schema.execute(
        f"INSERT INTO fun_ai_deploy_runtime_placement VALUES ('101',1,5,'{LOCAL}','{LOCAL}'),"
        f"('102',2,6,'{LOCAL}','{LOCAL}')",
        "INSERT INTO fun_ai_deploy_app_run VALUES"
        f" ('101',1,'done','SUCCEEDED',NULL,1234,5678,'{LOCAL}','{LOCAL}')",
    )
    add_job(schema, "done", "101", "SUCCEEDED")
    add_job(schema, "running", "102", "RUNNING")
    for number, status in enumerate(["RUNNING", "PENDING", "PENDING"]):
        add_job(schema, f"twice-{number}", "103", status, f"2026-03-01 20:00:0{number}")
    return schema


def test_empty_schema_is_made_once(empty_schema: Schema) -> None:
    said = [migrate(empty_schema, "--check"), migrate(empty_schema), migrate(empty_schema)]

    assert said == ["changed", "changed", "unchanged"]
    assert migrate(empty_schema, "--check") == "unchanged"
    tables = [next(iter(row.values())) for row in empty_schema.rows("SHOW TABLES")]
    assert sorted(tables) == sorted(OWN_TABLES)


def test_check_writes_nothing(empty_schema: Schema) -> None:
    assert migrate(empty_schema, "--check") == "changed"

    assert empty_schema.rows("SHOW TABLES") == []


def test_rows_are_kept_and_their_times_become_utc(production: Schema) -> None:
    before = {table: len(production.rows(f"SELECT * FROM {table}")) for table in TABLES}

    migrate(production)

    assert {table: len(production.rows(f"SELECT * FROM {table}")) for table in TABLES} == before
    for table in TABLES[:2] + TABLES[3:]:
        for row in production.rows(f"SELECT create_time, update_time FROM {table}"):
            assert (row["create_time"], row["update_time"]) == (UTC, UTC)
    beats = production.rows("SELECT last_heartbeat_at AS at FROM fun_ai_deploy_runtime_node")
    assert [row["at"] for row in beats] == [UTC, UTC]
    run = production.rows("SELECT * FROM fun_ai_deploy_app_run")[0]
    assert (run["last_deployed_at"], run["last_active_at"]) == (1234, 5678)


def test_times_are_converted_once_only(production: Schema) -> None:
    said = [migrate(production), migrate(production)]

    assert said == ["changed", "unchanged"]
    row = production.rows("SELECT create_time FROM fun_ai_deploy_job WHERE id = 'done'")[0]
    assert row["create_time"] == UTC


def test_of_several_active_jobs_the_newest_stays(production: Schema) -> None:
    migrate(production)

    rows = production.rows(
        "SELECT id, status, reason_code, error_message FROM fun_ai_deploy_job"
        " WHERE app_id = '103' ORDER BY id"
    )
    assert [row["status"] for row in rows] == ["FAILED", "CANCELLED", "PENDING"]
    assert [row["reason_code"] for row in rows] == ["DUPLICATE_ACTIVE", "DUPLICATE_ACTIVE", None]
    assert "newer" in rows[0]["error_message"]
    assert len(production.rows("SELECT * FROM fun_ai_deploy_job_event")) == 2


def test_apps_keep_the_routes_that_they_have(production: Schema) -> None:
    migrate(production)

    rows = production.rows("SELECT app_id, route_node_id FROM fun_ai_deploy_app ORDER BY app_id")
    assert [(row["app_id"], row["route_node_id"]) for row in rows] == [
        ("101", 1),
        ("102", 2),
        ("103", None),
    ]


def test_notes_of_nodes_that_apps_left_are_kept(empty_schema: Schema) -> None:
    """As they were before each node had one of its own."""
    migrate(empty_schema)
    empty_schema.execute(
        "DROP TABLE fun_ai_deploy_leftover",
        "UPDATE fun_ai_deploy_alembic_version SET version_num = '0009'",
        "INSERT INTO fun_ai_deploy_app (app_id, deploy_seq, fence, leftover_node_id, leftover_user_id,"
        f" create_time, update_time) VALUES ('left', 1, 5, 2, '7', '{LOCAL}', '{LOCAL}'),"
        f" ('placed', 1, 6, NULL, NULL, '{LOCAL}', '{LOCAL}')",
    )

    assert migrate(empty_schema) == "changed"

    rows = empty_schema.rows("SELECT app_id, node_id, user_id, fence FROM fun_ai_deploy_leftover")
    assert rows == [{"app_id": "left", "node_id": 2, "user_id": "7", "fence": 5}]
    query = "SELECT app_id FROM fun_ai_deploy_app WHERE leftover_node_id IS NOT NULL"
    assert empty_schema.rows(query) == []


def test_migration_that_was_cut_off_goes_on(production: Schema) -> None:
    production.execute(
        "ALTER TABLE fun_ai_deploy_job ADD COLUMN fence BIGINT NULL,"
        " ADD COLUMN attempt INT NOT NULL DEFAULT 0",
        "CREATE TABLE fun_ai_deploy_runner (runner_id VARCHAR(128) NOT NULL PRIMARY KEY,"
        " last_seen_at DATETIME(6) NOT NULL, capacity INT NULL)",
    )

    assert migrate(production) == "changed"
    assert migrate(production) == "unchanged"


def test_deploy_serves_adopted_rows_with_the_rights_it_has(
    production: Schema, tmp_path: Path
) -> None:
    migrate(production)
    server, name = production.server, production.name
    account = f"'serving_{name}'@'127.0.0.1'"
    server.execute(
        f"CREATE USER {account} IDENTIFIED BY '{DB_PASSWORD}'",
        *(
            f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `{name}`.{table} TO {account}"
            for table in OWN_TABLES
        ),
    )
    settings = {"DEPLOY_DB_USER": f"serving_{name}"}
    deploy = DeployProcess(production, tmp_path / "deploy.log", settings).start()
    try:
        # Both were silent for long: the second beat brings them back. Their URLs are those adopted.
        for number in (1, 2, 1, 2):
            address = f"http://127.0.0.{number}"
            urls = {"agentBaseUrl": f"{address}:7005", "gatewayBaseUrl": f"{address}:80"}
            assert deploy.beat(f"node-{number}", **urls)[0] == 200
        nodes = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]
        claimed = [deploy.claimed(f"runner-{number}") for number in range(2)]
        reported = [deploy.report(job, "SUCCEEDED")[1]["code"] for job in claimed]
        jobs = deploy.call("GET", "/deploy/jobs?limit=200", None, API)[1]["data"]
        purge = {"userId": 7, "appId": 101}
        purged = deploy.call("POST", "/deploy/apps/purge", purge, API)[1]["data"]
        ready = deploy.call("GET", "/internal/ready")[0]
    finally:
        deploy.stop()

    assert [node["nodeId"] for node in nodes] == [1, 2]
    assert [job["id"] for job in claimed] == ["running", "twice-2"]
    assert claimed[0]["attempt"] == 2
    assert reported == [200, 200]
    assert len(jobs) == 5
    assert (purged["deletedJobs"], purged["deletedAppRuns"], purged["deletedPlacements"]) == (
        1,
        1,
        1,
    )
    assert ready == 200


def test_unmigrated_schema_is_named_in_the_refusal(empty_schema: Schema, tmp_path: Path) -> None:
    deploy = DeployProcess(empty_schema, tmp_path / "deploy.log").start()
    try:
        status, envelope = deploy.call("GET", "/deploy/jobs", None, API)
    finally:
        deploy.stop()

    assert (status, envelope["code"]) == (503, 503)
    assert "funai-deploy migrate" in envelope["message"]


def test_list_of_200_rows_is_one_query(start_deploy: Callable[..., DeployProcess]) -> None:
    deploy = start_deploy(DEPLOY_REAPER_SECONDS="60")
    deploy.beat()
    for number in range(3):
        deploy.create(f"app-{number}")
    path = "/deploy/jobs?limit=200"
    deploy.call("GET", path, None, API)

    def statements() -> int:
        query = (
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_select', 'Com_update', 'Com_insert')"
        )
        return sum(int(row["Value"]) for row in deploy.schema.server.rows(query))

    def statements_of_a_list() -> int:
        before = statements()
        listed = deploy.call("GET", path, None, API)[1]["data"]
        assert len(listed) == 3
        return statements() - before

    # Deploy's own threads look at nodes and leftovers once after its start, at whatever moment.
    assert min(statements_of_a_list() for _ in range(5)) == 1
