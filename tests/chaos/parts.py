"""The parts of the control plane that every harness starts: a database, Deploys, runners."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos import audit
from tests.chaos.node import answers
from tests.chaos.processes import Service
from tests.integration.deploy_process import (
    DB_PASSWORD,
    DB_USER,
    SECRETS,
    Schema,
    process_env,
    run_command,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.history import History
    from tests.integration.mariadb import MariaDb

ROOT = Path(__file__).parents[2]


def copy_services(services: Path, folder: Path) -> Path:
    """Return a copy of a tree: processes that start again in a run must be those that ended."""
    tree = folder / "tree"
    shutil.copytree(services, tree, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


def install_database(database: MariaDb, name: str) -> Schema:
    """Start a new server with Deploy's account and an empty schema of that name."""
    database.install()
    database.start()
    database.execute(
        f"CREATE USER '{DB_USER}'@'127.0.0.1' IDENTIFIED BY '{DB_PASSWORD}'",
        f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4",
        f"GRANT ALL ON `{name}`.* TO '{DB_USER}'@'127.0.0.1'",
    )
    return Schema(database, name)


def migrate(schema: Schema, env: dict[str, str]) -> None:
    """Make Deploy's tables, and the triggers that write every change of a job down."""
    migrated = run_command(env, "migrate")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    audit.install(schema)


def migrate_further(schema: Schema, python_path: str) -> None:
    """Bring the tables to where the services of that path want them, whoever uses them meanwhile."""
    migrated = run_command({**process_env(schema), "PYTHONPATH": python_path}, "migrate")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr


def deploy_service(name: str, port: int, env: Mapping[str, str], folder: Path) -> Service:
    """Return a Deploy that is not started yet."""
    return Service(
        name,
        [sys.executable, "-m", "funai.deploy", "serve"],
        {**env, "DEPLOY_BIND": f"127.0.0.1:{port}"},
        folder / f"{name}.log",
        lambda: answers(f"http://127.0.0.1:{port}/internal/health"),
    )


def runner_service(
    name: str,
    folder: Path,
    history: History,
    python_path: str,
    *,
    light: bool = True,
    **settings: str,
) -> Service:
    """Return a runner that is not started yet.

    :param light: whether its jobs go without Ansible (``light_zygote.py``)
    :param settings: ``RUNNER_*``, the URL of Deploy at least
    """
    return Service(
        name,
        [sys.executable, "-m", "tests.chaos.light_runner" if light else "funai.runner"],
        {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": python_path,
            "CHAOS_HISTORY": str(history.path),
            "RUNNER_ID": name,
            "RUNNER_TOKEN": SECRETS["DEPLOY_RUNNER_TOKEN"],
            "RUNNER_RUNTIME_TOKEN": SECRETS["DEPLOY_RUNTIME_TOKEN"],
            "RUNNER_STATE_DIR": str(folder / name),
            "RUNNER_BUNDLE_DIR": str(ROOT / "playbooks" / "jobs"),
            "RUNNER_WAIT_SECONDS": "1",
            "RUNNER_PARALLEL_JOBS": "6" if light else "1",
            "RUNNER_DEPLOY_TIMEOUT_SECONDS": "20",
            "RUNNER_READY_SECONDS": "3",
            "RUNNER_VERIFY_TIMEOUT_SECONDS": "8",
            **settings,
        },
        folder / f"{name}.log",
    )
