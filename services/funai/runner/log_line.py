"""One line of a job's log, on its way from a step to the supervisor and on to Deploy. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from funai.runner.model import clean_text

#: What a pipe takes as a whole: lines of two writers never mix (PIPE_BUF, pipe(7)).
MAX_PIPE_BYTES = 4096
_FIRST_TRY_BYTES = 3600
MAX_PHASE_CHARS = 16
CUT = "…"


@dataclass(frozen=True)
class LogLine:
    """What a step said, and when."""

    #: Milliseconds since 1970.
    at_ms: int
    phase: str
    text: str

    def to_wire(self) -> dict[str, Any]:
        """Render for Deploy."""
        return {"t": self.at_ms, "p": self.phase, "m": self.text}

    def to_pipe(self) -> bytes:
        """Render for the pipe: one line of JSON that fits; a longer text loses its end."""
        text = " ".join(clean_text(self.text).splitlines()).encode(errors="replace").decode()
        room = _FIRST_TRY_BYTES
        while True:
            kept = text.encode()[:room].decode(errors="ignore")
            shown = LogLine(self.at_ms, self.phase, kept if kept == text else kept + CUT)
            line = json.dumps(shown.to_wire(), ensure_ascii=False, separators=(",", ":"))
            encoded = line.encode() + b"\n"
            if len(encoded) <= MAX_PIPE_BYTES:
                return encoded
            room //= 2

    @classmethod
    def from_pipe(cls, raw: bytes, now_ms: int) -> LogLine:
        """Read a line of the pipe; whatever is none is a text without a phase."""
        try:
            found = json.loads(raw)
            at_ms, phase, text = int(found["t"]), str(found["p"]), str(found["m"])
        except (ValueError, TypeError, KeyError, OverflowError):
            at_ms, phase, text = now_ms, "", raw.decode(errors="replace")
        return cls(at_ms, clean_text(phase)[:MAX_PHASE_CHARS], clean_text(text))

    def size(self) -> int:
        """Return the most bytes that it takes in memory and in a request, give or take its frame.

        Measured, not counted: JSON makes twelve bytes of an emoji.
        """
        return len(json.dumps(self.text)) + len(json.dumps(self.phase)) + 64
