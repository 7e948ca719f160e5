"""One line per observation point on stdout, ``key=value``, for the journal."""

from __future__ import annotations

import json
import re
import sys
import threading
from typing import TextIO

from funai.runner.model import clean_text

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+,-]+")
MAX_VALUE_CHARS = 1200


class Journal:
    """Writes lines; safe to share between threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._lock = threading.Lock()

    def write(self, event: str, **fields: object) -> None:
        """Write one line: the event's name, then the fields; one that is None is left out."""
        parts = [f"event={event}"]
        parts += [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
        with self._lock:
            self._stream.write(" ".join(parts) + "\n")
            self._stream.flush()


class Reachability:
    """Tells of Deploy's coming and going once per change, not once per retry."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reachable = True
        self._lock = threading.Lock()

    def lost(self, why: str) -> None:
        """Note that Deploy did not answer."""
        with self._lock:
            if self._reachable:
                self._journal.write("deploy_unreachable", why=why)
            self._reachable = False

    def found(self) -> None:
        """Note that Deploy answered."""
        with self._lock:
            if not self._reachable:
                self._journal.write("deploy_reachable")
            self._reachable = True


def _value(value: object) -> str:
    text = str(value)[:MAX_VALUE_CHARS]
    return text if _PLAIN.fullmatch(text) else json.dumps(clean_text(text), ensure_ascii=False)
