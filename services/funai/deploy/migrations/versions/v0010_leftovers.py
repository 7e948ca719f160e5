"""Keep a note of each node that an app left, where there was room for one node of each app."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLE = """
    app_id VARCHAR(64) NOT NULL, node_id BIGINT NOT NULL, user_id VARCHAR(64) NOT NULL,
    fence BIGINT NOT NULL, create_time DATETIME(6) NOT NULL, update_time DATETIME(6) NOT NULL,
    PRIMARY KEY (app_id, node_id),
    KEY ix_deploy_leftover_node (node_id, update_time)"""
_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def upgrade() -> None:
    """Make the table and move the notes that there are; the columns stay empty for earlier code."""
    op.execute(text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_leftover ({_TABLE}) {_ENGINE}"))
    op.execute(
        text(
            "INSERT IGNORE INTO fun_ai_deploy_leftover"
            " (app_id, node_id, user_id, fence, create_time, update_time)"
            " SELECT app_id, leftover_node_id, COALESCE(leftover_user_id, '0'), fence,"
            " UTC_TIMESTAMP(6), update_time FROM fun_ai_deploy_app WHERE leftover_node_id IS NOT NULL"
        )
    )
    op.execute(
        text("UPDATE fun_ai_deploy_app SET leftover_node_id = NULL, leftover_user_id = NULL")
    )
