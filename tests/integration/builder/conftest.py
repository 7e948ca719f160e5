"""A builder for the tests, as a throwaway user with ids of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.builder.rig import BUSYBOX, COUNT, SUBORDINATE_IDS, USER_ID, Builder

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))


@pytest.fixture(scope="session")
def user() -> Iterator[str]:
    """Return a user that may make user namespaces with a range of ids; it is removed again."""
    if os.geteuid() or not shutil.which("buildah") or not shutil.which("newuidmap"):
        pytest.skip("needs root, and the packages buildah and uidmap")
    if not BUSYBOX.exists():
        pytest.skip("needs the package busybox-static")
    name = f"funai-test-{os.getpid()}"
    argv = [
        "/usr/sbin/useradd",
        # Such a user gets no ids beside those below.
        "--system",
        "--uid",
        str(USER_ID),
        "--no-create-home",
        # It would make lastlog as long as this id is high.
        "--no-log-init",
        "--shell",
        "/usr/sbin/nologin",
        name,
    ]
    subprocess.run(argv, check=True, capture_output=True)
    line = f"{name}:{SUBORDINATE_IDS}:{COUNT}\n"
    for path in _ID_FILES:
        with path.open("a") as file:
            file.write(line)
    yield name
    for path in _ID_FILES:
        path.write_text(path.read_text().replace(line, ""))
    subprocess.run(["/usr/sbin/userdel", name], check=True, capture_output=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the user can reach, which those of pytest are not."""
    made = Path(tempfile.mkdtemp(prefix="funai-builder-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def builder(folder: Path, user: str) -> Iterator[Builder]:
    """Return a builder with an empty cache."""
    running = Builder(folder, user)
    yield running
    running.stop()
