"""The log of one job on this host: bounded and free of control characters."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from funai.runner.model import clean_text

if TYPE_CHECKING:
    from pathlib import Path

    from funai.runner.redaction import Redactor

MAX_LINE_BYTES = 8192
_READ_BYTES = 65536


class JobLog:
    """Keeps the first and the last half of ``max_bytes``; the middle is counted, not kept.

    Safe to share between threads. Complete once it is closed.
    """

    def __init__(self, path: Path, max_bytes: int, redactor: Redactor) -> None:
        self._file = path.open("wb", buffering=0)
        self._half = max_bytes // 2
        self._written = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0
        self._redactor = redactor
        self._lock = threading.Lock()

    def follow(self, descriptor: int) -> None:
        """Copy a pipe until all its writers are gone."""
        rest = b""
        try:
            while chunk := os.read(descriptor, _READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._add_raw(line)
                if len(rest) > MAX_LINE_BYTES:
                    self._add_raw(rest)
                    rest = b""
            if rest:
                self._add_raw(rest)
        finally:
            os.close(descriptor)

    def add(self, text: str) -> None:
        """Add one line."""
        line = self._redactor.clean(clean_text(text)).encode(errors="replace") + b"\n"
        with self._lock:
            if not self._file.closed:
                self._keep(line)

    def _add_raw(self, raw: bytes) -> None:
        self.add(raw[:MAX_LINE_BYTES].decode(errors="replace"))

    def _keep(self, line: bytes) -> None:
        if not self._tail and self._written + len(line) <= self._half:
            self._file.write(line)
            self._written += len(line)
            return
        self._tail.append(line)
        self._tail_bytes += len(line)
        while self._tail_bytes > self._half:
            lost = self._tail.popleft()
            self._tail_bytes -= len(lost)
            self._dropped += len(lost)

    def close(self) -> None:
        """Write the tail; what comes later is dropped."""
        with self._lock, self._file:
            if self._dropped:
                self._file.write(f"[... {self._dropped} bytes left out ...]\n".encode())
            self._file.write(b"".join(self._tail))
