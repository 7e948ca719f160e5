"""The supervisor's side of a zygote that cannot be started, or cannot fork. Ansible is not loaded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from funai.runner import zygote_client
from funai.runner.errors import ExecutionError
from funai.runner.zygote_client import ZygoteClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Serves like ``funai.runner.zygote``; its children end with the status that their only argument is.
ZYGOTE = """
import os, signal, socket, sys
from funai.runner import zygote
zygote.preload = lambda: None
zygote.run_playbook = lambda argv: int(argv[0])
%s
zygote.main()
"""
NO_FORK = """
def no_fork():
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = no_fork
"""
WAIT_SECONDS = 60


class Subprocess:
    """What the client uses of the module; ``failures`` starts fail."""

    DEVNULL = subprocess.DEVNULL
    Popen = subprocess.Popen

    def __init__(self, failures: int = 0, extra: str = "") -> None:
        self._failures = failures
        self._script = ZYGOTE % extra
        self.starts = 0
        self.started_again = threading.Event()

    def start(self, argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        self.starts += 1
        if self.starts > 1:
            self.started_again.set()
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        options["env"] = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen([argv[0], "-c", self._script, argv[3]], **options)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ZygoteClient]]:
    """Start a client over a zygote without Ansible."""
    clients: list[ZygoteClient] = []

    def make(failures: int = 0, extra: str = "") -> ZygoteClient:
        fake = Subprocess(failures, extra)
        fake.Popen = fake.start  # type: ignore[assignment]
        monkeypatch.setattr(zygote_client, "subprocess", fake)
        clients.append(ZygoteClient({}, ()))
        if failures > 1:
            # Whoever asks before the first failure is noted is told of time that ran out instead.
            assert fake.started_again.wait(WAIT_SECONDS)
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def run(client: ZygoteClient, folder: Path, status: int = 0) -> int | None:
    """Run a child that ends with the status."""
    output = os.open(os.devnull, os.O_WRONLY)
    try:
        child = client.start([str(status)], folder, output, lambda: None)
    finally:
        os.close(output)
    assert child.wait(WAIT_SECONDS)
    return child.returncode


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_zygote_that_could_not_be_started_once_is_there_later(
    start: Callable[..., ZygoteClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote_client, "READY_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(zygote_client, "AGAIN_SECONDS", WAIT_SECONDS)
    client = start(failures=1)

    assert run(client, tmp_path, status=3) == 3


def test_zygote_that_cannot_be_started_is_said_soon_and_why(
    start: Callable[..., ZygoteClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote_client, "READY_SECONDS", 0.2)
    monkeypatch.setattr(zygote_client, "AGAIN_SECONDS", 0.2)
    client = start(failures=1_000_000)

    with pytest.raises(ExecutionError, match=os.strerror(errno.EAGAIN)):
        run(client, tmp_path)


def test_fork_that_fails_is_said_and_leaves_the_zygote_alive(
    start: Callable[..., ZygoteClient], tmp_path: Path
) -> None:
    client = start(extra=NO_FORK)
    before = client.pid

    read_end, write_end = os.pipe()
    with pytest.raises(ExecutionError, match="temporarily unavailable"):
        client.start(["0"], tmp_path, write_end, lambda: None)
    os.close(write_end)

    assert os.read(read_end, 1) == b""
    assert client.pid == before
    os.close(read_end)


def test_zygote_that_ends_before_the_fork_is_no_child(
    start: Callable[..., ZygoteClient], tmp_path: Path
) -> None:
    client = start(extra="os.fork = lambda: os._exit(7)")

    with pytest.raises(ExecutionError, match="ended before it forked"):
        run(client, tmp_path)


def test_closing_ends_the_thread_and_the_zygote(start: Callable[..., ZygoteClient]) -> None:
    client = start()
    pid = client.pid

    threads = [thread for thread in threading.enumerate() if thread.name == "zygote"]

    client.close()
    for thread in threads:
        thread.join(WAIT_SECONDS)

    assert "zygote" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
