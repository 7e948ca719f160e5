"""Let an app be paused whose jobs end their runners: a count, and since when and why it is paused."""

from __future__ import annotations

from alembic import op

from funai.deploy.migrations.adding import add_columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no app is paused by that."""
    add_columns(
        op.get_bind(),
        "fun_ai_deploy_app",
        {
            "crashes": "INT NOT NULL DEFAULT 0",
            "paused_at": "DATETIME(6) NULL",
            "pause_reason": ("VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"),
        },
    )
