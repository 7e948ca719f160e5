"""Run other programs: the one place of the lab that starts processes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: How often a condition is looked at while it is waited for.
POLL_SECONDS = 0.2
_TAIL_LINES = 15


class LabError(Exception):
    """Something that the person at the terminal can read and act on.

    ``host`` and ``log`` say where to look; either may be unknown.
    """

    def __init__(self, reason: str, *, host: str | None = None, log: Path | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.host = host
        self.log = log


class CommandError(LabError):
    """A program ended with a code other than 0."""


def tail(text: str, lines: int = _TAIL_LINES) -> str:
    """Keep the last ``lines`` lines, which is where programs say why they failed."""
    return "\n".join(text.strip().splitlines()[-lines:])


def changed_environment(env: Mapping[str, str | None] | None) -> dict[str, str] | None:
    """Return this program's environment with ``env`` laid over it; None takes a variable away."""
    if env is None:
        return None
    laid = {**os.environ, **env}
    return {name: value for name, value in laid.items() if value is not None}


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout: float | None = None,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
) -> str:
    """Return what ``argv`` printed; raise CommandError with the end of its errors otherwise."""
    try:
        done = subprocess.run(  # noqa: S603 - argv is a list of our own making, no shell
            list(argv),
            input=b"" if stdin is None else stdin,
            capture_output=True,
            timeout=timeout,
            env=changed_environment(env),
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{argv[0]} is not installed"
        raise CommandError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(argv[:3])} ... did not end within {timeout} s"
        raise CommandError(message) from error
    if done.returncode != 0:
        words = " ".join(argv[:4])
        reason = tail((done.stderr or done.stdout).decode(errors="replace"))
        message = f"{words} ... ended with {done.returncode}: {reason}"
        raise CommandError(message)
    return done.stdout.decode(errors="replace")


def succeeds(argv: Sequence[str], timeout: float = 30) -> bool:
    """Tell whether ``argv`` ends with code 0."""
    try:
        run(argv, timeout=timeout)
    except CommandError:
        return False
    return True


def follow(
    argv: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> int:
    """Run ``argv``, copy each line it prints to ``log`` and to ``on_line``; return its code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(  # noqa: S603 - as in run()
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=changed_environment(env),
            cwd=cwd,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            if on_line is not None:
                on_line(line.rstrip("\n"))
        return process.wait()


def start_detached(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program that outlives this one, its output going to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - as in run()
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Look at ``condition`` until it holds; False when it did not within ``seconds``."""
    never = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(POLL_SECONDS)
    return True
