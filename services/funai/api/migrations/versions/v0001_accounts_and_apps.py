"""Accounts, sessions, tokens and the apps' owners."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS fun_ai_api_account (
        id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(64) NOT NULL,
        role VARCHAR(16) NOT NULL,
        password_hash VARCHAR(256) NOT NULL,
        enabled INT NOT NULL DEFAULT 1,
        language VARCHAR(8) NULL,
        create_time DATETIME(6) NOT NULL,
        update_time DATETIME(6) NOT NULL,
        UNIQUE KEY uk_fun_ai_api_account_name (name)
    ) {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS fun_ai_api_session (
        id_hash VARCHAR(64) NOT NULL PRIMARY KEY,
        account_id BIGINT NOT NULL,
        create_time DATETIME(6) NOT NULL,
        last_seen_at DATETIME(6) NOT NULL,
        KEY ix_fun_ai_api_session_account (account_id),
        KEY ix_fun_ai_api_session_seen (last_seen_at)
    ) {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS fun_ai_api_token (
        id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        token_hash VARCHAR(64) NOT NULL,
        account_id BIGINT NOT NULL,
        name VARCHAR(64) NOT NULL,
        create_time DATETIME(6) NOT NULL,
        last_used_at DATETIME(6) NULL,
        UNIQUE KEY uk_fun_ai_api_token_hash (token_hash),
        UNIQUE KEY uk_fun_ai_api_token_name (account_id, name)
    ) {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS fun_ai_api_sign_in_failure (
        subject VARCHAR(160) NOT NULL PRIMARY KEY,
        failures INT NOT NULL,
        first_at DATETIME(6) NOT NULL,
        KEY ix_fun_ai_api_sign_in_failure_at (first_at)
    ) {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS fun_ai_api_app (
        app_id VARCHAR(64) NOT NULL PRIMARY KEY,
        owner_id BIGINT NOT NULL,
        name VARCHAR(128) NOT NULL,
        source_json TEXT NULL,
        hook_branch VARCHAR(255) NULL,
        hook_secret VARBINARY(1024) NULL,
        create_time DATETIME(6) NOT NULL,
        update_time DATETIME(6) NOT NULL,
        KEY ix_fun_ai_api_app_owner (owner_id, app_id)
    ) {_OPTIONS}""",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _TABLES:
        op.execute(statement)
