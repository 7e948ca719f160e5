"""Tables of Deploy as SQLAlchemy Core sees them. Migrations are what makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMBLOB, MEDIUMTEXT

if TYPE_CHECKING:
    from datetime import datetime

#: The database's clock: UTC, microseconds; and the same as epoch milliseconds. The session's time
#: zone is UTC (``database.SESSION``), so both agree.
NOW = literal_column("UTC_TIMESTAMP(6)", DATETIME(fsp=6))
NOW_MS = literal_column("FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000)", BigInteger)

metadata = MetaData()


def _times() -> list[Column[datetime]]:
    return [Column("create_time", DATETIME(fsp=6)), Column("update_time", DATETIME(fsp=6))]


node = Table(
    "fun_ai_deploy_runtime_node",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(128)),
    Column("agent_base_url", String(512)),
    Column("gateway_base_url", String(512)),
    Column("enabled", Integer),
    Column("weight", Integer),
    Column("last_heartbeat_at", DATETIME(fsp=6)),
    Column("disk_free_pct", Double),
    Column("disk_free_bytes", BigInteger),
    Column("container_count", Integer),
    *_times(),
    Column("draining", Integer),
    #: SHA-256 of the token that only this node's agent has, in hex; null: it shows the shared one.
    Column("token_hash", String(64)),
    #: Beats in a row since the node was last stale, at most two.
    Column("good_beats", Integer),
    #: Whether webhooks were last told that the node is stale.
    Column("told_stale", Integer),
)

placement = Table(
    "fun_ai_deploy_runtime_placement",
    metadata,
    Column("app_id", String(128), primary_key=True),
    Column("node_id", BigInteger),
    Column("last_active_at", BigInteger),
    *_times(),
)

job = Table(
    "fun_ai_deploy_job",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("type", String(64)),
    Column("app_id", String(64)),
    Column("status", String(32)),
    Column("payload_json", Text),
    Column("error_message", String(1024)),
    Column("runner_id", String(128)),
    Column("lease_expire_at", BigInteger),
    *_times(),
    Column("version", BigInteger),
    Column("deploy_seq", BigInteger),
    Column("fence", BigInteger),
    Column("attempt", Integer),
    Column("node_id", BigInteger),
    Column("started_at", DATETIME(fsp=6)),
    Column("run_started_at", BigInteger),
    Column("ended_at", DATETIME(fsp=6)),
    Column("phase", String(32)),
    Column("phase_message", String(512)),
    Column("reason_code", String(64)),
    Column("reason", String(1024)),
    Column("idempotency_key", String(128)),
    Column("idempotency_hash", String(64)),
    Column("superseded_by", String(64)),
)

app_run = Table(
    "fun_ai_deploy_app_run",
    metadata,
    Column("app_id", String(128), primary_key=True),
    Column("node_id", BigInteger),
    Column("last_job_id", String(64)),
    Column("last_job_status", String(32)),
    Column("last_error", String(1024)),
    Column("last_deployed_at", BigInteger),
    Column("last_active_at", BigInteger),
    *_times(),
)

#: What an app is given: null leaves it to the platform or the node.
app_settings = Table(
    "fun_ai_deploy_app_settings",
    metadata,
    Column("app_id", String(64), primary_key=True),
    Column("container_port", Integer),
    Column("health_path", String(256)),
    Column("memory_mib", Integer),
    Column("cpus_milli", Integer),
    #: Sealed by a key that is not in the database.
    Column("environment", MEDIUMBLOB),
    Column("version", BigInteger),
    *_times(),
)

#: One row per app that ever had a job: its lock, its order and its fence. Rows stay for good, since
#: nodes remember the highest fence they saw.
app = Table(
    "fun_ai_deploy_app",
    metadata,
    Column("app_id", String(64), primary_key=True),
    Column("deploy_seq", BigInteger),
    Column("fence", BigInteger),
    Column("route_node_id", BigInteger),
    *_times(),
    #: Jobs in a row that ended without a word of their runner.
    Column("crashes", Integer),
    Column("paused_at", DATETIME(fsp=6)),
    Column("pause_reason", String(1024)),
    #: A claimed job that ended without success, its node, and the fence below which that node is to
    #: carry out nothing more; null once the node has said so.
    Column("closing_job_id", String(64)),
    Column("closing_node_id", BigInteger),
    Column("closing_fence", BigInteger),
    #: A job whose version serves although the job did not succeed, as its node said.
    Column("unconfirmed_job_id", String(64)),
)

#: One row per app and node that is still to be cleared of it.
leftover = Table(
    "fun_ai_deploy_leftover",
    metadata,
    Column("app_id", String(64), primary_key=True),
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", String(64)),
    Column("fence", BigInteger),
    *_times(),
)

#: One row per notice and webhook.
webhook_delivery = Table(
    "fun_ai_deploy_webhook_delivery",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("delivery_id", String(36)),
    Column("notice_id", String(36)),
    Column("webhook", String(64)),
    Column("notice", String(32)),
    Column("at", DATETIME(fsp=6)),
    Column("data", Text),
    Column("state", String(16)),
    Column("attempts", Integer),
    #: When it is due, or another Deploy may take the running try for lost; null once it has ended.
    Column("next_attempt_at", DATETIME(fsp=6)),
    Column("last_status", Integer),
    Column("last_error", String(512)),
    Column("ended_at", DATETIME(fsp=6)),
)

job_event = Table(
    "fun_ai_deploy_job_event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("job_id", String(64)),
    Column("app_id", String(64)),
    Column("at", DATETIME(fsp=6)),
    Column("actor", String(160)),
    Column("from_status", String(32)),
    Column("to_status", String(32)),
    Column("phase", String(32)),
    Column("reason", String(1024)),
    Column("detail", Text),
)

runner = Table(
    "fun_ai_deploy_runner",
    metadata,
    Column("runner_id", String(128), primary_key=True),
    Column("last_seen_at", DATETIME(fsp=6)),
    Column("capacity", Integer),
)

#: One row: when Deploy was last here.
alive = Table(
    "fun_ai_deploy_alive",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", DATETIME(fsp=6)),
)

route_version = Table(
    "fun_ai_deploy_route_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger),
)

#: What ran of an app. A row outlives its job, and its app where an image is still to be removed.
revision = Table(
    "fun_ai_deploy_revision",
    metadata,
    Column("app_id", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(16)),
    Column("job_id", String(64)),
    Column("app_release", String(64)),
    Column("source_kind", String(16)),
    Column("repo_url", String(2048)),
    Column("commit_ref", String(255)),
    Column("commit_sha", String(64)),
    Column("image", String(512)),
    Column("image_repository", String(512)),
    Column("image_tag", String(128)),
    Column("image_digest", String(71)),
    #: Whether the platform built the image, so that it may remove it.
    Column("built", Integer),
    #: The payload without what only a build reads.
    Column("config_json", Text),
    Column("created_by", String(64)),
    Column("activated_at", DATETIME(fsp=6)),
    Column("activated_job_id", String(64)),
    Column("activation", String(512)),
    #: When its app was stopped; null again once it is activated.
    Column("stopped_at", DATETIME(fsp=6)),
    #: Whether its app was purged: hidden, and beyond every retention.
    Column("purged", Integer),
    Column("prune_reason", String(512)),
    *_times(),
)

#: One row per job that sent a log: how much of it is here, and what was left out.
job_log = Table(
    "fun_ai_deploy_job_log",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("fence", BigInteger),
    Column("received", BigInteger),
    Column("next_line", BigInteger),
    Column("size", BigInteger),
    Column("head_lines", BigInteger),
    Column("dropped_from", BigInteger),
    Column("dropped_to", BigInteger),
    Column("update_time", DATETIME(fsp=6)),
)

job_log_chunk = Table(
    "fun_ai_deploy_job_log_chunk",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("first_line", BigInteger, primary_key=True, autoincrement=False),
    Column("line_count", Integer),
    Column("size", Integer),
    Column("body", MEDIUMTEXT),
)
