"""The one way in which steps start other programs: no shell, a time limit, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from funai.runner.model import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 60
MAX_LINE_BYTES = 8192
#: Lines beyond this are not passed on: a server may send messages without end.
MAX_LINES_BYTES = 4 * 1024 * 1024
MAX_CAPTURE_BYTES = 32 * 1024 * 1024
LOOK_SECONDS = 0.25
TIMED_OUT = "timeout"
TOO_MUCH = "output"
_READ_BYTES = 65536
#: Leads the process group of a command. It ends the group when the step's process is gone, which
#: closes the pipe: a program that waits for a silent server would not notice by itself.
_GUARD = ("/bin/sh", "-c", "read -r _; kill -KILL 0")


class CommandMissingError(Exception):
    """The program is not installed, or cannot be started."""


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    returncode: int
    #: The last lines it printed, without control characters.
    tail: str
    #: What it wrote to its standard output, where that was asked for.
    stdout: bytes = b""
    #: Why it was ended from outside: ``timeout``, ``output``, or what ``watch`` said; else empty.
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and well."""
        return self.returncode == 0 and not self.stopped


@dataclass(frozen=True)
class Limits:
    """When a command is ended from outside."""

    seconds: float
    #: Asked several times a second; a word ends the command.
    watch: Callable[[], str] = str


def run(
    argv: Sequence[str],
    limits: Limits,
    *,
    env: Mapping[str, str],
    on_line: Callable[[str], object] = str,
    stdout: Path | bool = False,
    pass_fds: Sequence[int] = (),
) -> Finished:
    """Run a program to its end, or until a limit is reached; then no process of it is left.

    :param env: its whole environment
    :param on_line: called with each line that it prints
    :param stdout: True keeps the standard output apart and returns it; a path writes it there
    :raises CommandMissingError: when it cannot be started
    """
    merged = stdout is False
    with _group() as group, contextlib.ExitStack() as stack:
        target: int | IO[bytes] = subprocess.PIPE
        if not isinstance(stdout, bool):
            target = stack.enter_context(stdout.open("wb"))
        errors = subprocess.STDOUT if merged else subprocess.PIPE
        with _start(argv, env, (target, errors), pass_fds, group) as process:
            try:
                reader = _Reader(process, on_line, merged=merged)
                stopped = reader.read(limits)
                if stopped:
                    _kill(group)
                return reader.finished(stopped)
            finally:
                _kill(group)


def _start(
    argv: Sequence[str],
    env: Mapping[str, str],
    streams: tuple[int | IO[bytes], int],
    pass_fds: Sequence[int],
    group: int,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the callers build argv of fixed options
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=streams[0],
            stderr=streams[1],
            pass_fds=tuple(pass_fds),
            process_group=group,
        )
    except OSError as exc:
        msg = f"{argv[0]} cannot be started: {exc.strerror}"
        raise CommandMissingError(msg) from exc


@contextlib.contextmanager
def _group() -> Iterator[int]:
    """Give the id of a new process group, which ends with this block and with this process."""
    guard = subprocess.Popen(  # noqa: S603 - fixed
        _GUARD, stdin=subprocess.PIPE, env={}, process_group=0
    )
    try:
        yield guard.pid
    finally:
        _kill(guard.pid)
        with guard:
            guard.wait()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


class _Reader:
    """Reads what one process prints, in bounded memory."""

    def __init__(
        self, process: subprocess.Popen[bytes], on_line: Callable[[str], object], *, merged: bool
    ) -> None:
        self._process = process
        self._on_line = on_line
        self._lines = process.stdout if merged else process.stderr
        self._capture = None if merged else process.stdout
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._room = MAX_LINES_BYTES
        self._rest = b""
        self._captured = bytearray()

    def read(self, limits: Limits) -> str:
        """Read until the process has ended; return why it has to be ended before, or nothing."""
        ends_at = time.monotonic() + limits.seconds
        look_at = 0.0
        with selectors.DefaultSelector() as selector:
            for stream in (self._lines, self._capture):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if now >= look_at:
                    stopped = limits.watch() or self._excess(ends_at - now)
                    if stopped:
                        return stopped
                    look_at = now + LOOK_SECONDS
                # A program that it left in the background may hold the pipes open for ever.
                has_ended = self._process.poll() is not None
                wait = 0 if has_ended else max(0.0, min(look_at, ends_at) - now)
                if not self._read_once(selector, wait) and has_ended:
                    return ""

    def finished(self, stopped: str) -> Finished:
        """Wait for the end and return what was read."""
        if self._rest:
            self._take(self._rest)
        returncode = self._process.wait()
        return Finished(returncode, "\n".join(self._tail), bytes(self._captured), stopped)

    def _excess(self, seconds_left: float) -> str:
        if seconds_left <= 0:
            return TIMED_OUT
        return TOO_MUCH if len(self._captured) > MAX_CAPTURE_BYTES else ""

    def _read_once(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        if not selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return False
        got = False
        for key, _ in selector.select(seconds):
            data = os.read(key.fd, _READ_BYTES)
            got = got or bool(data)
            if not data:
                selector.unregister(key.fileobj)
            elif key.fileobj is self._capture:
                self._captured += data
            else:
                self._split(data)
        return got

    def _split(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > MAX_LINE_BYTES:
            self._take(self._rest)
            self._rest = b""

    def _take(self, raw: bytes) -> None:
        text = clean_text(raw[:MAX_LINE_BYTES].decode(errors="replace")).rstrip()
        if not text:
            return
        self._tail.append(text)
        self._room -= len(text)
        if self._room > 0:
            self._on_line(text)
