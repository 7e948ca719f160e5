"""A database as after years: so many apps, and a hundred jobs of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.deploy_process import Schema

APPS = 1000
JOBS = 100_000
REVISIONS = 20
#: Jobs that have not ended, of as many apps.
WAITING = 150
RUNNING = 20
#: The newest jobs have their events.
EVENTS = 5000
OWNER = 2
_PAYLOAD = json.dumps(
    {
        "repoUrl": "https://git.example/team/shop.git",
        "commit": "main",
        "dockerfilePath": "Dockerfile",
        "buildArgs": {"NODE_ENV": "production", "REGION": "eu"},
        "containerPort": 8080,
        "healthPath": "/healthz",
        "userId": OWNER,
    }
)
_ERROR = "The build failed at step 5/7. " + "npm ERR! missing script: build. " * 20
_APP = "CONCAT('app-', LPAD({} MOD {apps}, 4, '0'))"
_AGO = "UTC_TIMESTAMP(6) - INTERVAL ({jobs} - {seq}) SECOND"
_STATUS = """CASE WHEN seq > {jobs} - {waiting} THEN 'PENDING'
    WHEN seq > {jobs} - {waiting} - {running} THEN 'RUNNING'
    WHEN seq MOD 7 = 0 THEN 'FAILED' WHEN seq MOD 31 = 0 THEN 'CANCELLED' ELSE 'SUCCEEDED' END"""
_STATEMENTS = (
    """INSERT INTO fun_ai_deploy_runtime_node (id, name, agent_base_url, gateway_base_url, enabled,
            weight, last_heartbeat_at, create_time, update_time)
        SELECT seq, CONCAT('runtime-', seq), 'http://127.0.0.1:7005', 'http://127.0.0.1:80', 1, 100,
            UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM seq_1_to_8""",
    """INSERT INTO fun_ai_api_app (app_id, owner_id, name, source_json, create_time, update_time)
        SELECT {app}, {owner}, CONCAT('App number ', seq), '{source}', UTC_TIMESTAMP(6),
            UTC_TIMESTAMP(6) FROM seq_1_to_{apps}""",
    """INSERT INTO fun_ai_deploy_app (app_id, deploy_seq, fence, route_node_id)
        SELECT {app}, 1000, 1000, 1 + seq MOD 8 FROM seq_1_to_{apps}""",
    """INSERT INTO fun_ai_deploy_runtime_placement (app_id, node_id, last_active_at, create_time,
            update_time)
        SELECT {app}, 1 + seq MOD 8, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM seq_1_to_{apps}""",
    """INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, error_message,
            runner_id, lease_expire_at, create_time, update_time, version, deploy_seq, fence,
            attempt, node_id, started_at, ended_at, phase, reason_code, reason)
        SELECT CONCAT('job-', seq), 'BUILD_AND_DEPLOY', {app}, @status := {status},
            JSON_INSERT('{payload}', '$.appId', {app}), IF(@status = 'FAILED', '{error}', NULL),
            IF(@status = 'PENDING', NULL, 'runner-01'),
            IF(@status = 'RUNNING', 1000 * (UNIX_TIMESTAMP() + 86400), NULL), {ago}, {ago}, 1,
            seq DIV {apps} + 1, seq DIV {apps} + 1, @status <> 'PENDING', 1 + seq MOD 8, {ago},
            IF(@status IN ('PENDING', 'RUNNING'), NULL, {ago}),
            IF(@status = 'PENDING', NULL, 'BUILD'),
            CASE @status WHEN 'FAILED' THEN 'BUILD_FAILED' WHEN 'PENDING' THEN 'QUEUED' END,
            IF(@status = 'PENDING', 'waits for a free runner', NULL)
        FROM seq_1_to_{jobs}""",
    """INSERT INTO fun_ai_deploy_job_event (job_id, app_id, at, actor, from_status, to_status, phase,
            reason, detail)
        SELECT CONCAT('job-', {jobs} - {events} + 1 + seq DIV 6),
            CONCAT('app-', LPAD(({jobs} - {events} + 1 + seq DIV 6) MOD {apps}, 4, '0')),
            UTC_TIMESTAMP(6), 'runner:runner-01',
            IF(seq MOD 6 = 0, NULL, 'RUNNING'),
            CASE seq MOD 6 WHEN 0 THEN 'PENDING' WHEN 1 THEN 'RUNNING' WHEN 5 THEN 'SUCCEEDED' END,
            CASE seq MOD 6 WHEN 2 THEN 'CLONE' WHEN 3 THEN 'BUILD' WHEN 4 THEN 'PUSH' END, NULL, NULL
        FROM seq_0_to_{last_event}""",
    """INSERT INTO fun_ai_deploy_app_run (app_id, node_id, last_job_id, last_job_status, last_error,
            last_deployed_at, last_active_at, create_time, update_time)
        SELECT {app}, 1 + seq MOD 8, CONCAT('job-', {jobs} - {apps} + seq), 'SUCCEEDED', NULL,
            1000 * UNIX_TIMESTAMP(), 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM seq_1_to_{apps}""",
    """INSERT INTO fun_ai_deploy_revision (app_id, number, state, job_id, app_release, source_kind,
            repo_url, commit_ref, commit_sha, image, config_json, create_time, activated_at,
            update_time)
        SELECT {app}, seq DIV {apps} + 1, IF(seq >= {revisions} - {apps}, 'ACTIVE', 'SUPERSEDED'),
            CONCAT('job-', seq), CONCAT('r', seq DIV {apps} + 1), 'git',
            'https://git.example/team/shop.git', 'main', SHA1(seq), 'registry.example/shop:1',
            NULL, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
        FROM seq_0_to_{last_revision}""",
)


def fill(schema: Schema) -> None:
    """Fill a migrated schema; statistics are current afterwards, as they are after years."""
    values = {
        "apps": APPS,
        "jobs": JOBS,
        "owner": OWNER,
        "waiting": WAITING,
        "running": RUNNING,
        "events": EVENTS,
        "last_event": EVENTS * 6 - 1,
        "revisions": APPS * REVISIONS,
        "last_revision": APPS * REVISIONS - 1,
        "app": _APP.format("seq", apps=APPS),
        "ago": _AGO.format(jobs=JOBS, seq="seq"),
        "status": _STATUS.format(jobs=JOBS, waiting=WAITING, running=RUNNING),
        "payload": _PAYLOAD,
        "source": '{"repoUrl":"https://git.example/team/shop.git","commit":"main"}',
        "error": _ERROR,
    }
    schema.execute(*(statement.format(**values) for statement in _STATEMENTS))
    tables = [next(iter(row.values())) for row in schema.rows("SHOW TABLES")]
    schema.execute(*(f"ANALYZE TABLE `{table}`" for table in tables))
