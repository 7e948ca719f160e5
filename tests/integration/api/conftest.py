"""The API entry as hosts run it: its own process, beside a real Deploy, over one real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.process import ApiProcess, run_api_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.deploy_process import DeployProcess, Schema


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
