"""What happened, by all parties: one JSON object a line, appended whole, with monotonic time."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Entry = dict[str, Any]


class History:
    """Appends to a file that several processes may share.

    CLOCK_MONOTONIC is one clock for all processes of a machine, so entries of all of them can be
    ordered by ``t``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, kind: str, **fields: Any) -> float:
        """Append one entry; return its time."""
        now = time.monotonic()
        line = json.dumps({"t": now, "kind": kind, **fields}, separators=(",", ":"))
        # One write of one line: with O_APPEND no other process's line gets in between.
        os.write(self._descriptor, line.encode() + b"\n")
        return now

    def close(self) -> None:
        os.close(self._descriptor)


def read(paths: Iterable[Path]) -> list[Entry]:
    """Return the entries of several files by time; a line cut off by a SIGKILL is left out."""
    entries: list[Entry] = []
    for path in paths:
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                entries.append(entry)
    return sorted(entries, key=lambda entry: float(entry["t"]))
