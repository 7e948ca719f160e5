"""A trigger writes down every committed change of a job, in the order of its app's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deploy_process import Schema

_TABLE = """CREATE TABLE chaos_audit (
    seq BIGINT AUTO_INCREMENT PRIMARY KEY, at DOUBLE NOT NULL, job_id VARCHAR(64),
    app_id VARCHAR(64), old_status VARCHAR(32), new_status VARCHAR(32), fence BIGINT, attempt INT,
    deploy_seq BIGINT, runner_id VARCHAR(128), lease BIGINT, reason_code VARCHAR(64), image TEXT)"""
_VALUES = """UNIX_TIMESTAMP(SYSDATE(6)), NEW.id, NEW.app_id, {old}, NEW.status, NEW.fence,
    NEW.attempt, NEW.deploy_seq, NEW.runner_id, NEW.lease_expire_at, NEW.reason_code,
    JSON_VALUE(NEW.payload_json, '$.image')"""
_INSERT = "INSERT INTO chaos_audit VALUES (NULL, {values})"


def install(schema: Schema) -> None:
    """Create table and triggers; a transaction that is rolled back leaves no row."""
    made = _INSERT.format(values=_VALUES.format(old="NULL"))
    changed = _INSERT.format(values=_VALUES.format(old="OLD.status"))
    # A heartbeat changes neither status nor fence nor attempt; it is in the links' history.
    differs = (
        "NEW.status <> OLD.status OR NOT (NEW.fence <=> OLD.fence)"
        " OR NEW.attempt <> OLD.attempt OR NOT (NEW.runner_id <=> OLD.runner_id)"
    )
    schema.execute(
        _TABLE,
        f"CREATE TRIGGER chaos_made AFTER INSERT ON fun_ai_deploy_job FOR EACH ROW {made}",
        "CREATE TRIGGER chaos_changed AFTER UPDATE ON fun_ai_deploy_job FOR EACH ROW"
        f" BEGIN IF {differs} THEN {changed}; END IF; END",
    )


def rows(schema: Schema) -> list[dict[str, Any]]:
    """Return every change, oldest first."""
    return schema.rows("SELECT * FROM chaos_audit ORDER BY seq")
