"""Add the table of revisions: what ran of an app, from which commit and image, and what runs now.

Apps that were deployed before have no revision: what their jobs left behind does not say which image
ran. Each gets its first with its next deploy, and can be rolled back from the one after it on.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = """
    app_id VARCHAR(64) NOT NULL, number BIGINT NOT NULL, state VARCHAR(16) NOT NULL,
    job_id VARCHAR(64) NOT NULL, app_release VARCHAR(64) NOT NULL,
    source_kind VARCHAR(16) NULL, repo_url VARCHAR(2048) NULL,
    commit_ref VARCHAR(255) NULL, commit_sha VARCHAR(64) NULL,
    image VARCHAR(512) NULL, image_repository VARCHAR(512) NULL, image_tag VARCHAR(128) NULL,
    image_digest VARCHAR(71) NULL, built INT NOT NULL DEFAULT 0, config_json TEXT NULL,
    created_by VARCHAR(64) NULL, create_time DATETIME(6) NOT NULL,
    activated_at DATETIME(6) NULL, activated_job_id VARCHAR(64) NULL, activation VARCHAR(512) NULL,
    stopped_at DATETIME(6) NULL, purged INT NOT NULL DEFAULT 0, prune_reason VARCHAR(512) NULL, update_time DATETIME(6) NULL,
    PRIMARY KEY (app_id, number),
    KEY ix_fun_ai_deploy_revision_state (app_id, purged, state, activated_at),
    KEY ix_fun_ai_deploy_revision_digest (image_digest)"""
_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def upgrade() -> None:
    """Make the table; it may be there where an earlier try was cut off."""
    op.execute(text(f"CREATE TABLE IF NOT EXISTS fun_ai_deploy_revision ({_TABLE}) {_ENGINE}"))
