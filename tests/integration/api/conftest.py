"""The API entry as hosts run it: its own process, beside a real Deploy, over one real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.process import ApiProcess, run_api_command
from tests.integration.deploy_process import (
    DB_USER,
    DeployProcess,
    Schema,
    process_env,
    run_command,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.mariadb import MariaDb


@pytest.fixture
def api(database: Schema, deploy: DeployProcess, tmp_path: Path) -> Iterator[ApiProcess]:
    """An API entry with the operator ``ada`` and the users ``bob`` and ``eve``."""
    done = run_api_command(database, "migrate")
    assert done.returncode == 0, done.stdout + done.stderr
    process = ApiProcess(database, deploy, tmp_path / "api.log")
    process.add_accounts()
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def shared_api(mariadb: MariaDb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """The same for all tests of a file, which leave accounts and settings as they are."""
    folder = tmp_path_factory.mktemp("api")
    name = f"funai_{folder.name.replace('-', '_')}"
    mariadb.execute(
        f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4",
        f"GRANT ALL ON `{name}`.* TO '{DB_USER}'@'127.0.0.1'",
    )
    schema = Schema(mariadb, name)
    for done in (run_command(process_env(schema), "migrate"), run_api_command(schema, "migrate")):
        assert done.returncode == 0, done.stdout + done.stderr
    # Nodes send one heartbeat here, at the beginning, however long the file's tests take.
    settings = {"DEPLOY_NODE_STALE_SECONDS": "86400"}
    deploy = DeployProcess(schema, folder / "deploy.log", settings).start()
    process = ApiProcess(schema, deploy, folder / "api.log")
    process.add_accounts()
    try:
        process.start()
        yield process
    finally:
        process.stop()
        deploy.stop()
