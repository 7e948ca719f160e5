"""What is there once the faults are over and everything came to rest."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos import audit
from tests.integration.deploy_process import SECRETS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.cluster import Cluster
    from tests.chaos.node import Node

_TEXT_COLUMNS = {
    "fun_ai_deploy_job": ("payload_json", "error_message", "reason"),
    "fun_ai_deploy_job_event": ("reason", "detail"),
    "fun_ai_deploy_job_log_chunk": ("body",),
    "fun_ai_deploy_app_run": ("last_error",),
}


@dataclass
class NodeState:
    """One node: the gateway's routes, the engine's containers, what the gateway answers."""

    routes: dict[str, str] = field(default_factory=dict)
    containers: list[dict[str, Any]] = field(default_factory=list)
    #: App -> (status, job of the container that answered).
    pages: dict[str, tuple[int, str]] = field(default_factory=dict)
    #: App -> the highest fence that the agent remembers.
    fences: dict[str, int] = field(default_factory=dict)


@dataclass
class FinalState:
    """Everything that is compared with the history."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    app_runs: list[dict[str, Any]] = field(default_factory=list)
    apps: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[str, NodeState] = field(default_factory=dict)
    #: ``file: name of the secret`` for each that was found where it does not belong.
    leaks: list[str] = field(default_factory=list)
    max_attempts: int = 3
    lease_seconds: float = 6.0


def collect(cluster: Cluster, max_attempts: int) -> FinalState:
    """Read it all."""
    schema = cluster.schema
    # The audit has the database's clock, the history CLOCK_MONOTONIC.
    shift = time.monotonic() - time.time()
    changes = [{**row, "t": row["at"] + shift} for row in audit.rows(schema)]
    return FinalState(
        jobs=schema.rows(
            "SELECT id, app_id, status, fence, attempt, deploy_seq, reason_code, idempotency_key,"
            " JSON_VALUE(payload_json, '$.image') image FROM fun_ai_deploy_job"
        ),
        app_runs=schema.rows(
            "SELECT app_id, last_job_id, last_job_status FROM fun_ai_deploy_app_run"
        ),
        apps=schema.rows(
            "SELECT app_id, fence, route_node_id, unconfirmed_job_id FROM fun_ai_deploy_app"
        ),
        audit=changes,
        nodes={node.name: _node_state(node) for node in cluster.nodes},
        leaks=_leaks(cluster),
        max_attempts=max_attempts,
    )


def _node_state(node: Node) -> NodeState:
    kept = json.loads((node.folder / "engine.json").read_text())
    state = NodeState(routes=node.routes())
    for container in kept["containers"]:
        labels = container["labels"]
        state.containers.append(
            {
                "name": container["name"],
                "address": f"{container['address']}:{container['port']}",
                "running": container["running"],
                "app": labels["io.funai.app"],
                "fence": int(labels["io.funai.fence"]),
                "job": labels["io.funai.job"],
                "image": labels["io.funai.image"],
            }
        )
    for app in state.routes:
        status, body = node.page(app)
        labels = body.get("labels")
        job = labels.get("io.funai.job", "") if isinstance(labels, dict) else ""
        state.pages[app] = (status, str(job))
    state.fences = node.fences()
    return state


def _leaks(cluster: Cluster) -> list[str]:
    """Look for the platform's secrets in every byte that a run wrote down."""
    found = []
    for path in _recorded(cluster.folder):
        content = path.read_bytes()
        found += [
            f"{path.name}: {name}" for name, secret in SECRETS.items() if secret.encode() in content
        ]
    for table, columns in _TEXT_COLUMNS.items():
        for column in columns:
            for name, secret in SECRETS.items():
                query = f"SELECT COUNT(*) AS n FROM {table} WHERE INSTR({column}, %s) > 0"
                if cluster.schema.rows(query, secret)[0]["n"]:
                    found.append(f"{table}.{column}: {name}")
    return found


def _recorded(folder: Path) -> list[Path]:
    """Return logs, histories and the agents' state; not the database's own files."""
    patterns = ("*.log", "*.jsonl", "n*/*.log", "n*/*.jsonl", "n*/*.json", "n*/agent/*", "*/logs/*")
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]
