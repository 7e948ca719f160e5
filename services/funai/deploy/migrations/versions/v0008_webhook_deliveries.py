"""Keep what is to be sent to webhooks, and whether they were told that a node is stale."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from funai.deploy.migrations.adding import add_columns

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLE = """
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, delivery_id CHAR(36) NOT NULL,
    notice_id CHAR(36) NOT NULL, webhook VARCHAR(64) NOT NULL, notice VARCHAR(32) NOT NULL,
    at DATETIME(6) NOT NULL, data TEXT NOT NULL, state VARCHAR(16) NOT NULL,
    attempts INT NOT NULL, next_attempt_at DATETIME(6) NULL, last_status INT NULL,
    last_error VARCHAR(512) NULL, ended_at DATETIME(6) NULL,
    UNIQUE KEY uk_webhook_delivery_id (delivery_id),
    KEY ix_webhook_delivery_due (webhook, state, next_attempt_at),
    KEY ix_webhook_delivery_at (at)"""
_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def upgrade() -> None:
    """Make the table and the column; they may be there where an earlier try was cut off."""
    add_columns(
        op.get_bind(), "fun_ai_deploy_runtime_node", {"told_stale": "INT NOT NULL DEFAULT 0"}
    )
    op.execute(
        text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_webhook_delivery ({_TABLE}) {_ENGINE}")
    )
