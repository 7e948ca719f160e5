"""Keep what an app is given: its port, health path, limits and, sealed, its environment."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLE = """
    app_id VARCHAR(64) NOT NULL PRIMARY KEY, container_port INT NULL, health_path VARCHAR(256) NULL,
    memory_mib INT NULL, cpus_milli INT NULL, environment MEDIUMBLOB NULL, version BIGINT NOT NULL,
    create_time DATETIME(6) NOT NULL, update_time DATETIME(6) NOT NULL"""
_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def upgrade() -> None:
    """Make the table; it may be there where an earlier try was cut off."""
    op.execute(text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_app_settings ({_TABLE}) {_ENGINE}"))
