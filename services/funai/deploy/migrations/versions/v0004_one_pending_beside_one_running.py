"""Let one job of an app wait for the end of the one that runs: a unique key for each of the two.

The key over both goes last: at no time may an app have two RUNNING or two PENDING jobs.
"""

from __future__ import annotations

from alembic import op

from funai.deploy.migrations.adding import add_columns, add_keys, drop_key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JOB = "fun_ai_deploy_job"
_ID = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def _app_while(status: str) -> str:
    return (
        f"{_ID} GENERATED ALWAYS AS (CASE WHEN status = '{status}' THEN app_id ELSE NULL END)"
        " VIRTUAL"
    )


def upgrade() -> None:
    """Add columns and keys, then drop the key that they replace."""
    connection = op.get_bind()
    add_columns(
        connection,
        _JOB,
        {
            "pending_app": _app_while("PENDING"),
            "running_app": _app_while("RUNNING"),
            "superseded_by": f"{_ID} NULL",
        },
    )
    add_keys(
        connection,
        _JOB,
        {
            "uk_fun_ai_deploy_job_pending_app": "UNIQUE KEY {} (pending_app)",
            "uk_fun_ai_deploy_job_running_app": "UNIQUE KEY {} (running_app)",
        },
    )
    drop_key(connection, _JOB, "uk_fun_ai_deploy_job_active_app")
