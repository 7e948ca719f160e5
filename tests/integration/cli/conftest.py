"""The command line as its users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.cli.ssh_server import SshServer
from tests.integration.deploy_process import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.deploy_process import DeployProcess

ROOT = Path(__file__).parents[3]
FAB = str(Path(sys.executable).parent / "fab")
SECONDS = 60


@dataclass
class CommandLine:
    """``fab`` in an environment of its own."""

    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a task to its end."""
        return subprocess.run(
            [FAB, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a task that goes on."""
        process = subprocess.Popen(
            [FAB, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def base_environment(folder: Path) -> dict[str, str]:
    """Return an environment that knows no platform."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}


@pytest.fixture
def commands_for(tmp_path: Path) -> Iterator[Callable[..., CommandLine]]:
    """Make command lines that know a Deploy from the shell's variables, as ``./dev env`` sets them."""
    made: list[CommandLine] = []

    def make(url: str, **changed: str) -> CommandLine:
        told = {
            "FUNAI_DEPLOY_URL": url,
            "FUNAI_DEPLOY_SECRET": SECRETS["DEPLOY_SECRET"],
            "FUNAI_ADMIN_TOKEN": SECRETS["DEPLOY_ADMIN_TOKEN"],
        }
        made.append(CommandLine({**base_environment(tmp_path), **told, **changed}))
        return made[-1]

    yield make
    for commands in made:
        commands.close()


@pytest.fixture
def commands(deploy: DeployProcess, commands_for: Callable[..., CommandLine]) -> CommandLine:
    """A command line that knows a Deploy with default settings."""
    return commands_for(deploy.url)


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[SshServer]:
    """A host that answers over SSH."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    server = SshServer(folder)
    yield server
    server.close()
