"""Add the tables of logs of jobs: one head per job, and chunks of lines."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_HEAD = """
    job_id VARCHAR(64) NOT NULL PRIMARY KEY, fence BIGINT NOT NULL DEFAULT 0,
    received BIGINT NOT NULL DEFAULT 0, next_line BIGINT NOT NULL DEFAULT 0,
    size BIGINT NOT NULL DEFAULT 0, head_lines BIGINT NOT NULL DEFAULT 0,
    dropped_from BIGINT NULL, dropped_to BIGINT NULL, update_time DATETIME(6) NOT NULL,
    KEY ix_fun_ai_deploy_job_log_time (update_time)"""
_CHUNK = """
    job_id VARCHAR(64) NOT NULL, first_line BIGINT NOT NULL, line_count INT NOT NULL,
    size INT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (job_id, first_line)"""


def upgrade() -> None:
    """Make the tables; they may be there where an earlier try was cut off."""
    op.execute(text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_job_log ({_HEAD}) {_ENGINE}"))
    op.execute(text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_job_log_chunk ({_CHUNK}) {_ENGINE}"))
