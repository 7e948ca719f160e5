"""Real parts that integration tests share."""

from __future__ import annotations

import itertools
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.integration.deploy_process import (
    DB_PASSWORD,
    DB_USER,
    DeployProcess,
    Schema,
    process_env,
    run_command,
)
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Whose tests name users or containers of this machine as a host does.
_ALONE_ON_THE_MACHINE = {"builder", "preview", "runtime_agent"}
_TEMPLATE = "funai_template"
_NUMBERS = itertools.count(1)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives one worker the tests of a file, or of a folder where files share more."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        return path.parent.name if path.parent.name in _ALONE_ON_THE_MACHINE else str(path)


# Its own marks for that, xdist_group, do not reach the scheduler under pytest 9.2 (pytest-xdist 1386).
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Divide the tests among workers."""
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server for the whole run. A test that kills it starts it again."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.install()
    server.start()
    server.execute(f"CREATE USER '{DB_USER}'@'127.0.0.1' IDENTIFIED BY '{DB_PASSWORD}'")
    yield server
    server.stop()


@pytest.fixture
def empty_schema(mariadb: MariaDb) -> Schema:
    """A schema without tables, which Deploy's account may change."""
    return _new_schema(mariadb, f"funai_{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def template_schema(mariadb: MariaDb) -> Schema:
    """The schema as the migrations make it; never written to."""
    schema = _new_schema(mariadb, _TEMPLATE)
    done = run_command(process_env(schema), "migrate")
    assert done.returncode == 0, done.stdout + done.stderr
    return schema


@pytest.fixture
def database(mariadb: MariaDb, template_schema: Schema) -> Schema:
    """A migrated schema of the test's own, copied from the template: faster than migrating."""
    schema = _new_schema(mariadb, f"funai_{next(_NUMBERS)}")
    tables = [next(iter(row.values())) for row in template_schema.rows("SHOW TABLES")]
    versions = [table for table in tables if table.endswith("_version")]
    schema.execute(
        *(f"CREATE TABLE `{table}` LIKE `{_TEMPLATE}`.`{table}`" for table in tables),
        *(f"INSERT INTO `{table}` SELECT * FROM `{_TEMPLATE}`.`{table}`" for table in versions),
    )
    return schema


@pytest.fixture
def start_deploy(database: Schema, tmp_path: Path) -> Iterator[Callable[..., DeployProcess]]:
    """Start Deploy processes over the test's schema; settings by keyword."""
    running: list[DeployProcess] = []

    def start(**settings: str) -> DeployProcess:
        log = tmp_path / f"deploy-{len(running)}.log"
        running.append(DeployProcess(database, log, settings).start())
        return running[-1]

    yield start
    for process in running:
        process.stop()


@pytest.fixture
def deploy(start_deploy: Callable[..., DeployProcess]) -> DeployProcess:
    """One Deploy with default settings."""
    return start_deploy()


def _new_schema(server: MariaDb, name: str) -> Schema:
    server.execute(
        f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4",
        f"GRANT ALL ON `{name}`.* TO '{DB_USER}'@'127.0.0.1'",
    )
    return Schema(server, name)
