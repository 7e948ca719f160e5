"""Adopt the four tables of the earlier Deploy with their rows, and add what this one needs.

What is made: the four tables where they are missing; columns and indexes where they lack them; the
tables ``app``, ``job_event``, ``runner`` and ``route_version``. No existing column is changed or dropped.

What is converted, in tables that were there before: ``create_time``, ``update_time`` and
``last_heartbeat_at`` held local time of Asia/Shanghai, which has been UTC+8 without summer time since
1991. They become UTC: eight hours less. Columns of epoch milliseconds stay as they are.

What is decided: an app has at most one job that has not ended (docs/decisions/0010). Where the earlier
Deploy left several, the newest stays; of the others those RUNNING become FAILED and those PENDING become
CANCELLED, with the reason in ``reason_code`` (``DUPLICATE_ACTIVE``), ``reason`` and an event. RUNNING
jobs count as in their first attempt, begun now.

DDL of MySQL and MariaDB cannot be rolled back, so every step looks before it acts and can be repeated.
The conversion, which must happen once, is one transaction with the mark that this migration is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import op
from sqlalchemy import text

from funai.deploy.migrations.adding import add_columns, add_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIN = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_ENGINE = f"ENGINE=InnoDB DEFAULT {_BIN}"
_TIMES = "create_time DATETIME(6) NULL, update_time DATETIME(6) NULL"

#: As in the contract, section 6.
_ADOPTED = {
    "fun_ai_deploy_runtime_node": f"""
        id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(128) NOT NULL,
        agent_base_url VARCHAR(512) NULL, gateway_base_url VARCHAR(512) NULL,
        enabled INT NULL, weight INT NULL, last_heartbeat_at DATETIME(6) NULL,
        disk_free_pct DOUBLE NULL, disk_free_bytes BIGINT NULL, container_count INT NULL, {_TIMES},
        UNIQUE KEY uk_fun_ai_deploy_runtime_node_name (name)""",
    "fun_ai_deploy_runtime_placement": f"""
        app_id VARCHAR(128) NOT NULL PRIMARY KEY, node_id BIGINT NULL,
        last_active_at BIGINT NULL, {_TIMES}""",
    "fun_ai_deploy_job": f"""
        id VARCHAR(64) NOT NULL PRIMARY KEY, type VARCHAR(64) NOT NULL, app_id VARCHAR(64) NULL,
        status VARCHAR(32) NOT NULL, payload_json TEXT NULL, error_message VARCHAR(1024) NULL,
        runner_id VARCHAR(128) NULL, lease_expire_at BIGINT NULL, {_TIMES}, version BIGINT NULL,
        KEY idx_fun_ai_deploy_job_status_time (status, create_time),
        KEY idx_fun_ai_deploy_job_app_status_time (app_id, status, create_time),
        KEY idx_fun_ai_deploy_job_runner (runner_id),
        KEY idx_fun_ai_deploy_job_lease (lease_expire_at)""",
    "fun_ai_deploy_app_run": f"""
        app_id VARCHAR(128) NOT NULL PRIMARY KEY, node_id BIGINT NULL, last_job_id VARCHAR(64) NULL,
        last_job_status VARCHAR(32) NULL, last_error VARCHAR(1024) NULL,
        last_deployed_at BIGINT NULL, last_active_at BIGINT NULL, {_TIMES}""",
}
_OWN = {
    "fun_ai_deploy_app": f"""
        app_id VARCHAR(64) NOT NULL PRIMARY KEY, deploy_seq BIGINT NOT NULL DEFAULT 0,
        fence BIGINT NOT NULL DEFAULT 0, route_node_id BIGINT NULL,
        leftover_node_id BIGINT NULL, leftover_user_id VARCHAR(64) NULL, {_TIMES},
        KEY ix_fun_ai_deploy_app_leftover (leftover_node_id)""",
    "fun_ai_deploy_job_event": """
        seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, job_id VARCHAR(64) NOT NULL,
        app_id VARCHAR(64) NOT NULL, at DATETIME(6) NOT NULL, actor VARCHAR(160) NOT NULL,
        from_status VARCHAR(32) NULL, to_status VARCHAR(32) NULL, phase VARCHAR(32) NULL,
        reason VARCHAR(1024) NULL, detail TEXT NULL,
        KEY ix_fun_ai_deploy_job_event_job (job_id, seq),
        KEY ix_fun_ai_deploy_job_event_app (app_id), KEY ix_fun_ai_deploy_job_event_at (at)""",
    "fun_ai_deploy_runner": """
        runner_id VARCHAR(128) NOT NULL PRIMARY KEY, last_seen_at DATETIME(6) NOT NULL,
        capacity INT NULL, KEY ix_fun_ai_deploy_runner_seen (last_seen_at)""",
    "fun_ai_deploy_route_version": "id INT NOT NULL PRIMARY KEY, version BIGINT NOT NULL",
}
_ADDED = {
    "fun_ai_deploy_runtime_node": {"draining": "INT NOT NULL DEFAULT 0"},
    "fun_ai_deploy_job": {
        "deploy_seq": "BIGINT NULL",
        "fence": "BIGINT NULL",
        "attempt": "INT NOT NULL DEFAULT 0",
        "node_id": "BIGINT NULL",
        "started_at": "DATETIME(6) NULL",
        "run_started_at": "BIGINT NULL",
        "ended_at": "DATETIME(6) NULL",
        "phase": "VARCHAR(32) NULL",
        "phase_message": f"VARCHAR(512) {_BIN} NULL",
        "reason_code": "VARCHAR(64) NULL",
        "reason": f"VARCHAR(1024) {_BIN} NULL",
        "idempotency_key": f"VARCHAR(128) {_BIN} NULL",
        "idempotency_hash": "VARCHAR(64) NULL",
        "active_app": (
            f"VARCHAR(64) {_BIN} GENERATED ALWAYS AS"
            " (CASE WHEN status IN ('PENDING', 'RUNNING') THEN app_id ELSE NULL END) VIRTUAL"
        ),
    },
}
_INDEXES = {
    "fun_ai_deploy_job": {
        "uk_fun_ai_deploy_job_active_app": "UNIQUE KEY {} (active_app)",
        "uk_fun_ai_deploy_job_idempotency": "UNIQUE KEY {} (idempotency_key)",
        "uk_fun_ai_deploy_job_seq": "UNIQUE KEY {} (app_id, deploy_seq)",
        "ix_fun_ai_deploy_job_time": "KEY {} (create_time, id)",
        "ix_fun_ai_deploy_job_app_time": "KEY {} (app_id, create_time, id)",
    },
    "fun_ai_deploy_runtime_placement": {
        "ix_fun_ai_deploy_runtime_placement_node": "KEY {} (node_id, app_id)"
    },
}
_LOCAL_TIMES = {
    "fun_ai_deploy_runtime_node": ("create_time", "update_time", "last_heartbeat_at"),
    "fun_ai_deploy_runtime_placement": ("create_time", "update_time"),
    "fun_ai_deploy_job": ("create_time", "update_time"),
    "fun_ai_deploy_app_run": ("create_time", "update_time"),
}
_DUPLICATE = "DUPLICATE_ACTIVE"
_DUPLICATE_TEXT = "another job of the app was newer when Deploy took over; this one was ended"


def upgrade() -> None:
    """Adopt, add, then convert once."""
    connection = op.get_bind()
    for table, columns in {**_ADOPTED, **_OWN}.items():
        op.execute(text(f"CREATE TABLE IF NOT EXISTS {table} ({columns}) {_ENGINE}"))
    for table, added in _ADDED.items():
        add_columns(connection, table, added)
    _end_duplicates(connection)
    for table, indexes in _INDEXES.items():
        add_keys(connection, table, indexes)
    # From here on no DDL: it would commit what is half done.
    _convert_times(connection)
    _fill_in(connection)


def _end_duplicates(connection: Connection) -> None:
    """Leave each app one job that has not ended: the newest."""
    active = text(
        "SELECT id, app_id, status FROM fun_ai_deploy_job"
        " WHERE status IN ('PENDING', 'RUNNING') AND app_id IS NOT NULL"
        " ORDER BY app_id, create_time DESC, id DESC"
    )
    kept: set[str] = set()
    for job_id, app_id, status in connection.execute(active).all():
        # The earlier tables may compare without case; the unique key does not.
        if app_id not in kept:
            kept.add(app_id)
            continue
        _end(connection, job_id, app_id, status)


def _end(connection: Connection, job_id: str, app_id: str, status: str) -> None:
    ended = "FAILED" if status == "RUNNING" else "CANCELLED"
    values = {
        "id": job_id, "app": app_id, "before": status, "after": ended,
        "code": _DUPLICATE, "text": _DUPLICATE_TEXT,
    }  # fmt: skip
    connection.execute(
        text(
            "UPDATE fun_ai_deploy_job SET status = :after, lease_expire_at = NULL,"
            " ended_at = UTC_TIMESTAMP(6), reason_code = :code, reason = :text,"
            " error_message = IF(:after = 'FAILED', :text, error_message)"
            " WHERE id = :id AND status = :before"
        ),
        values,
    )
    connection.execute(
        text(
            "INSERT INTO fun_ai_deploy_job_event"
            " (job_id, app_id, at, actor, from_status, to_status, reason, detail)"
            " VALUES (:id, :app, UTC_TIMESTAMP(6), 'migration', :before, :after, :text, '{}')"
        ),
        values,
    )


def _convert_times(connection: Connection) -> None:
    for table, columns in _LOCAL_TIMES.items():
        sets = ", ".join(f"{name} = {name} - INTERVAL 8 HOUR" for name in columns)
        connection.execute(text(f"UPDATE {table} SET {sets}"))  # noqa: S608 - constants


def _fill_in(connection: Connection) -> None:
    """Give every known app its row, and the route that it has today."""
    connection.execute(
        text(
            "INSERT IGNORE INTO fun_ai_deploy_app (app_id, create_time, update_time)"
            " SELECT DISTINCT app_id, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM fun_ai_deploy_job"
            " WHERE app_id IS NOT NULL"
        )
    )
    connection.execute(
        text(
            "INSERT INTO fun_ai_deploy_app (app_id, route_node_id, create_time, update_time)"
            " SELECT p.app_id, COALESCE(r.node_id, p.node_id), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)"
            " FROM fun_ai_deploy_runtime_placement p"
            " LEFT JOIN fun_ai_deploy_app_run r ON r.app_id = p.app_id"
            " WHERE CHAR_LENGTH(p.app_id) <= 64"
            " ON DUPLICATE KEY UPDATE route_node_id = VALUES(route_node_id)"
        )
    )
    connection.execute(
        text(
            "UPDATE fun_ai_deploy_job SET attempt = 1, started_at = UTC_TIMESTAMP(6)"
            " WHERE status = 'RUNNING' AND attempt = 0"
        )
    )
    connection.execute(
        text("INSERT IGNORE INTO fun_ai_deploy_route_version (id, version) VALUES (1, 1)")
    )
