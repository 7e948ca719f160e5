"""Run a command of a build: pass its output on, hold it to its limits, leave nothing running."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING

from funai.builder import cgroup, processes
from funai.builder.model import (
    BUILD_FAILED,
    BUILD_OUT_OF_MEMORY,
    BUILD_OUTPUT_TOO_LARGE,
    BUILD_TIMEOUT,
    BUILD_TOO_MANY_PROCESSES,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.builder.connection import Connection
    from funai.builder.disk import DiskWatch
    from funai.builder.transcript import Transcript

_TICK_SECONDS = 0.2
_READ_BYTES = 64 * 1024
#: Processes refused by the kernel from which on a build multiplies instead of building.
_MOST_REFUSED_FORKS = 1000


class BuildEndedError(Exception):
    """The build is over without an image."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Execution:
    """Runs the commands of one build, one after the other, within its limits.

    :param on_cached: told of the images that the build takes from the cache as soon as it says so
    """

    def __init__(
        self,
        connection: Connection,
        transcript: Transcript,
        disk: DiskWatch,
        *,
        deadline: float,
        output_bytes: int,
        on_cached: Callable[[set[str]], object],
    ) -> None:
        self._connection = connection
        self._transcript = transcript
        self._disk = disk
        self._deadline = deadline
        self._output_bytes = output_bytes
        self._on_cached = on_cached
        self._started_at = time.monotonic()
        self._kills = cgroup.out_of_memory_kills()
        self._refused = cgroup.refused_forks()

    def run(self, argv: list[str], env: dict[str, str]) -> None:
        """Run a command to its end.

        :raises BuildEndedError: when it failed or reached a limit
        :raises ClientGoneError: when nobody waits for it any more
        """
        process = subprocess.Popen(  # noqa: S603 - argv is made here, no shell
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._follow(process)
        finally:
            # What a step left behind in the background ends with the command.
            ended = processes.end_all([process, *self._disk.processes])
            self._read_rest(process)
        if not ended:
            raise BuildEndedError(BUILD_FAILED, "processes of the build could not be ended")
        if process.returncode:
            raise BuildEndedError(*self._failure(process.returncode))

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on output until the command ends; raise at a limit."""
        output = process.stdout
        assert output is not None  # noqa: S101 - it was asked for as a pipe
        os.set_blocking(output.fileno(), False)
        checked_at = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            while process.returncode is None:
                self._wait(selector, output.fileno())
                if not self._connection.is_full:
                    self._read(output.fileno())
                now = time.monotonic()
                if now >= checked_at + _TICK_SECONDS or process.poll() is not None:
                    checked_at = now
                    processes.reap([process, *self._disk.processes])
                    self._check_limits()

    def _wait(self, selector: selectors.BaseSelector, output: int) -> None:
        """Wait for output, for the client, or for the next look at the limits."""
        listens = selectors.EVENT_READ
        if self._connection.has_outgoing:
            listens |= selectors.EVENT_WRITE
        selector.modify(self._connection, listens)
        registered = output in selector.get_map()
        if registered == self._connection.is_full:
            if registered:
                selector.unregister(output)
            else:
                selector.register(output, selectors.EVENT_READ)
        for key, events in selector.select(_TICK_SECONDS):
            if key.fileobj is self._connection:
                if events & selectors.EVENT_READ:
                    self._connection.watch_client()
                if events & selectors.EVENT_WRITE:
                    self._connection.flush()

    def _read(self, output: int) -> bool:
        """Pass on what is there; return whether there may be more."""
        try:
            data = os.read(output, _READ_BYTES)
        except BlockingIOError:
            return False
        known = len(self._transcript.cached)
        for line in self._transcript.feed(data):
            self._connection.send_line(line)
        if len(self._transcript.cached) > known:
            self._on_cached(self._transcript.cached)
        if self._transcript.bytes_seen > self._output_bytes:
            message = f"the build printed more than {self._output_bytes} bytes"
            raise BuildEndedError(BUILD_OUTPUT_TOO_LARGE, message)
        return bool(data)

    def _read_rest(self, process: subprocess.Popen[bytes]) -> None:
        output = process.stdout
        if output is None or output.closed:
            return
        with output:
            try:
                while self._read(output.fileno()):
                    pass
            except BuildEndedError:
                return
            for line in self._transcript.finish():
                self._connection.send_line(line)

    def _check_limits(self) -> None:
        seconds = round(self._deadline - self._started_at)
        if time.monotonic() > self._deadline:
            message = f"the build took longer than the {seconds} s that it had"
            raise BuildEndedError(BUILD_TIMEOUT, message)
        if cgroup.refused_forks() - self._refused > _MOST_REFUSED_FORKS:
            raise BuildEndedError(*self._too_many())
        verdict = self._disk.verdict()
        if verdict is not None:
            raise BuildEndedError(*verdict)

    def _failure(self, status: int) -> tuple[str, str]:
        reason, message = self._transcript.failure(status)
        if cgroup.out_of_memory_kills() > self._kills:
            return BUILD_OUT_OF_MEMORY, f"the build used more memory than it may: {message}"
        if reason == BUILD_FAILED and cgroup.refused_forks() > self._refused:
            return self._too_many()
        return reason, message

    def _too_many(self) -> tuple[str, str]:
        return (
            BUILD_TOO_MANY_PROCESSES,
            "the build started more processes at once than it may",
        )
