"""Everything that a build starts stays below this process and ends when it says so."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_KILL_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends.

    A process that forks twice to get away is still found below this one, also where the service has
    no control group of its own.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reap(known: Iterable[subprocess.Popen[bytes]] = ()) -> None:
    """Take the status of all children that ended; those of ``known`` are told theirs."""
    by_pid = {process.pid: process for process in known}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in by_pid:
                by_pid[pid].returncode = os.waitstatus_to_exitcode(status)


def descendants(of: int) -> set[int]:
    """List the processes below ``of`` that have not ended."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent:
                children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    queue = [of]
    while queue:
        below = children.get(queue.pop(), [])
        found.update(below)
        queue.extend(below)
    return found


def _parent(entry: Path) -> int:
    """Return who started a process; 0 for one that ended or is ending."""
    try:
        # The name in parentheses is the process's own choice; fields begin after its last one.
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in {"Z", "X"} else int(fields[1])


def end_all(known: Iterable[subprocess.Popen[bytes]] = ()) -> bool:
    """Kill all descendants; return whether none is left.

    First all are stopped, again and again until no new one appears, so that those that multiply
    faster than they are killed stand still; then all are killed.
    """
    processes = list(known)
    deadline = time.monotonic() + _KILL_SECONDS
    stopped: set[int] = set()
    while time.monotonic() < deadline:
        found = descendants(os.getpid())
        if not found:
            reap(processes)
            return True
        if found <= stopped:
            _signal(found, signal.SIGKILL)
            time.sleep(_PAUSE_SECONDS)
            reap(processes)
            if not descendants(os.getpid()):
                return True
        _signal(found - stopped, signal.SIGSTOP)
        stopped = found
    return False


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
