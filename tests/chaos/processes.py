"""Processes of the harness: started, killed, suspended and started again by their id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 30.0


def eventually(check: Callable[[], object], seconds: float, what: str) -> None:
    """Return once the check is true.

    :raises TimeoutError: naming what did not come
    """
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            msg = f"not within {seconds:g} s: {what}"
            raise TimeoutError(msg)
        pause.wait(0.05)


class Service:
    """One process with its children, in a session of its own.

    :param is_ready: asked until it says yes, after each start
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.env = dict(env)
        self.log = log
        self._argv = list(argv)
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        #: Held while the process is taken down and brought back, so that two faults do not mix.
        self.busy = threading.RLock()

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, **env: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._check_ready, START_SECONDS, f"{self.name} answers, see {self.log}")

    def _check_ready(self) -> bool:
        if not self.is_alive:
            tail = self.log.read_text(errors="replace")[-1500:]
            msg = f"{self.name} ended at its start:\n{tail}"
            raise RuntimeError(msg)
        return self._is_ready()

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started, children in other sessions too."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def signal_all(self, number: signal.Signals) -> None:
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """End the whole family at once, as a power cut would."""
        if self._process is None:
            return
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(20)
        self._process = None

    def kill_one(self) -> None:
        """End only the process itself; what it started is left to the kernel and to itself."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def stop(self) -> None:
        """End it in order; kill what does not."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
