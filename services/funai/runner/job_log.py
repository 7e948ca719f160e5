"""The log of one job: what its child printed, bounded and free of control characters."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from funai.runner.model import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_LINE_BYTES = 8192
_READ_BYTES = 65536


class JobLog:
    """Keeps the first and the last half of ``max_bytes``; the middle is counted, not kept."""

    def __init__(self, path: Path, max_bytes: int, secrets: Sequence[str] = ()) -> None:
        self._file = path.open("wb", buffering=0)
        self._half = max_bytes // 2
        self._written = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0
        self._secrets = [s for s in secrets if s]

    def follow(self, descriptor: int) -> None:
        """Copy a pipe until all its writers are gone, then write the tail and close."""
        rest = b""
        try:
            while chunk := os.read(descriptor, _READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._add(line)
                if len(rest) > MAX_LINE_BYTES:
                    self._add(rest)
                    rest = b""
            if rest:
                self._add(rest)
        finally:
            os.close(descriptor)
            self._close()

    def _add(self, raw: bytes) -> None:
        text = clean_text(raw[:MAX_LINE_BYTES].decode(errors="replace"))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        line = text.encode() + b"\n"
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

    def _close(self) -> None:
        with self._file:
            if self._dropped:
                self._file.write(f"[... {self._dropped} bytes left out ...]\n".encode())
            self._file.write(b"".join(self._tail))
