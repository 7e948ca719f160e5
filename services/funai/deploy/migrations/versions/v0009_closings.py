"""Keep what Deploy still has to tell a node of a claim that is over, and what serves in spite of its job."""

from __future__ import annotations

from alembic import op

from funai.deploy.migrations.adding import add_columns, add_keys

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_JOB_ID = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"


def upgrade() -> None:
    """Add the columns; nothing is to be closed by that."""
    add_columns(
        op.get_bind(),
        "fun_ai_deploy_app",
        {
            "closing_job_id": _JOB_ID,
            "closing_node_id": "BIGINT NULL",
            "closing_fence": "BIGINT NULL",
            "unconfirmed_job_id": _JOB_ID,
        },
    )
    add_keys(
        op.get_bind(), "fun_ai_deploy_app", {"idx_deploy_app_closing": "KEY {} (closing_node_id)"}
    )
