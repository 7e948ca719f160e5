"""Everything that one attempt prints: kept on this host, and the steps' own lines shipped to Deploy."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from funai.runner.job_log import JobLog
from funai.runner.log_line import MAX_PIPE_BYTES, LogLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.runner.log_shipper import LogShipper
    from funai.runner.redaction import Redactor
    from funai.runner.workspace import JobFolder

_READ_BYTES = 65536
#: A process that would not end may hold a pipe open.
JOIN_SECONDS = 2.0


class JobOutput:
    """Two pipes: what Ansible prints, for this host only, and the named one that the steps write to.

    Ansible's output is not for the person who pressed deploy: it names tasks and files of ours.
    """

    def __init__(
        self,
        folder: JobFolder,
        max_bytes: int,
        redactor: Redactor,
        new_shipper: Callable[[], LogShipper],
    ) -> None:
        self._log = JobLog(folder.log, max_bytes, redactor)
        self._redactor = redactor
        # A host that has too few threads or descriptors must not lose more with each job.
        with contextlib.ExitStack() as on_error:
            on_error.callback(self._log.close)
            os.mkfifo(folder.pipe, 0o600)
            # The second end keeps the pipe from ending before the first step opens it.
            self._reader = os.open(folder.pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            on_error.callback(os.close, self._reader)
            self._keeper = os.open(folder.pipe, os.O_WRONLY | os.O_CLOEXEC)
            on_error.callback(os.close, self._keeper)
            os.set_blocking(self._reader, True)
            self._shipper = new_shipper()
            on_error.callback(self._shipper.finish, 0)
            self._threads = [self._start(self._follow_steps)]
            on_error.pop_all()

    def descriptor(self) -> int:
        """Return the descriptor of a child's standard output; whoever starts the child closes it."""
        read_end, write_end = os.pipe()
        try:
            self._threads.append(self._start(lambda: self._log.follow(read_end)))
        except RuntimeError:
            os.close(read_end)
            os.close(write_end)
            raise
        return write_end

    def close(self, *, is_shipped: bool) -> None:
        """Wait for the last lines of a child that has ended, and ship them."""
        os.close(self._keeper)
        for thread in self._threads:
            thread.join(timeout=JOIN_SECONDS)
        if is_shipped:
            self._shipper.finish()
        else:
            self._shipper.finish(0)
        self._log.close()

    def _follow_steps(self) -> None:
        rest = b""
        try:
            while chunk := os.read(self._reader, _READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for raw in lines:
                    self._take(raw)
                if len(rest) > MAX_PIPE_BYTES:
                    self._take(rest)
                    rest = b""
        finally:
            os.close(self._reader)

    def _take(self, raw: bytes) -> None:
        line = LogLine.from_pipe(raw, int(time.time() * 1000))
        clean = LogLine(line.at_ms, line.phase, self._redactor.clean(line.text))
        self._log.add(f"{clean.phase}: {clean.text}")
        self._shipper.add(clean)

    @staticmethod
    def _start(target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        return thread
