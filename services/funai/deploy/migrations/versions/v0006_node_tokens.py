"""Let nodes have tokens of their own, come back only after two beats, and Deploy know how long it was away."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from funai.deploy.migrations.adding import add_columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is missing; nodes that are fresh stay so."""
    add_columns(
        op.get_bind(),
        "fun_ai_deploy_runtime_node",
        {"token_hash": "CHAR(64) NULL", "good_beats": "INT NOT NULL DEFAULT 2"},
    )
    op.execute(
        text(
            "CREATE TABLE IF NOT EXISTS fun_ai_deploy_alive"
            " (id INT NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL) ENGINE=InnoDB"
        )
    )
