"""Tables of the API entry as SQLAlchemy Core sees them. Migrations are what makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import DATETIME

metadata = MetaData()

#: Who may sign in. The id is the platform's ``userId``.
account = Table(
    "fun_ai_api_account",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("name", String(64)),
    Column("role", String(16)),
    Column("password_hash", String(256)),
    Column("enabled", Integer),
    Column("language", String(8)),
    Column("create_time", DATETIME(fsp=6)),
    Column("update_time", DATETIME(fsp=6)),
)

session = Table(
    "fun_ai_api_session",
    metadata,
    #: SHA-256 of what the browser shows, in hex.
    Column("id_hash", String(64), primary_key=True),
    Column("account_id", BigInteger),
    Column("create_time", DATETIME(fsp=6)),
    Column("last_seen_at", DATETIME(fsp=6)),
)

token = Table(
    "fun_ai_api_token",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("token_hash", String(64)),
    Column("account_id", BigInteger),
    Column("name", String(64)),
    Column("create_time", DATETIME(fsp=6)),
    Column("last_used_at", DATETIME(fsp=6)),
)

#: Failed tries to sign in, by what they named and where they came from.
sign_in_failure = Table(
    "fun_ai_api_sign_in_failure",
    metadata,
    Column("subject", String(160), primary_key=True),
    Column("failures", Integer),
    Column("first_at", DATETIME(fsp=6)),
)

app = Table(
    "fun_ai_api_app",
    metadata,
    Column("app_id", String(64), primary_key=True),
    Column("owner_id", BigInteger),
    Column("name", String(128)),
    #: What the Deploy form offers next time: JSON of the payload's source fields.
    Column("source_json", Text),
    Column("hook_branch", String(255)),
    #: Encrypted.
    Column("hook_secret", LargeBinary(1024)),
    Column("create_time", DATETIME(fsp=6)),
    Column("update_time", DATETIME(fsp=6)),
)
