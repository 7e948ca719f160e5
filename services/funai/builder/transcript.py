"""What the output of a build tells beside being shown; pure."""

from __future__ import annotations

import re

_LONGEST_LINE = 8192
_LONGEST_MESSAGE = 600
# "STEP 1/3: FROM image AS name", in builds of several stages "[1/2] STEP 1/3: FROM ...".
_FROM = re.compile(
    r"(?:\[\d+/\d+\] )?STEP \d+/\d+: FROM (?:--\S+ )*(\S+)(?: +AS +(\S+))?", re.IGNORECASE
)
_CACHED = re.compile(r"--> Using cache ([0-9a-f]{64})")
_ERROR = re.compile(r"(?:Error|error)[: ]\s*(.*)")
_NO_BASE = re.compile(r"creating build container|no stage or image found|is rejected by policy")
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


class Transcript:
    """Takes the output as bytes; gives lines, and remembers the few that mean something.

    All of it may be written by the Dockerfile's own steps, so nothing here decides what is done
    with anybody's image; it only words the answer and orders the cache.
    """

    def __init__(self) -> None:
        self.bytes_seen = 0
        self.cached: set[str] = set()
        self._bases: list[str] = []
        self._stages: set[str] = set()
        self._partial = b""
        self._last_error = ""
        self._last_line = ""
        self._no_space = False

    @property
    def base_images(self) -> tuple[str, ...]:
        """Name the images that the Dockerfile begins from, each once."""
        return tuple(dict.fromkeys(self._bases))

    def feed(self, data: bytes) -> list[str]:
        """Take output and return the lines that it completes."""
        self.bytes_seen += len(data)
        *whole, self._partial = (self._partial + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line)]
        while len(self._partial) > _LONGEST_LINE:
            lines.append(self._partial[:_LONGEST_LINE])
            self._partial = self._partial[_LONGEST_LINE:]
        return [self._noted(line) for line in lines]

    def finish(self) -> list[str]:
        """Return the last line where it has no end."""
        rest, self._partial = self._partial, b""
        return [self._noted(piece) for piece in _pieces(rest)] if rest else []

    def failure(self, status: int) -> tuple[str, str]:
        """Return the reason and the sentence for a build that ended with a status."""
        text = self._last_error or self._last_line or f"buildah ended with status {status}"
        text = text[:_LONGEST_MESSAGE]
        if self._no_space:
            return "BUILD_DISK_FULL", f"the build ran out of disk space: {text}"
        if _NO_BASE.search(text):
            return "BASE_IMAGE_NOT_FOUND", f"a base image could not be used: {text}"
        return "BUILD_FAILED", text

    def _noted(self, raw: bytes) -> str:
        line = raw.decode("utf-8", "replace").rstrip("\r")
        if found := _FROM.match(line):
            if found[1] not in self._stages:
                self._bases.append(found[1])
            self._stages.add(found[2] or "")
        elif found := _CACHED.match(line):
            self.cached.add(found[1])
        elif found := _ERROR.match(line):
            self._last_error = found[1]
        if line.strip():
            self._last_line = line
        self._no_space = self._no_space or _NO_SPACE.search(line) is not None
        return line


def _pieces(line: bytes) -> list[bytes]:
    """Cut a line that is too long."""
    starts = range(0, max(1, len(line)), _LONGEST_LINE)
    return [line[start : start + _LONGEST_LINE] for start in starts]
