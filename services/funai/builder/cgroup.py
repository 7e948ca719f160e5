"""What the kernel refused to the service's control group: memory and processes."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def own_folder(membership: str, controller: str, root: Path = _ROOT) -> Path:
    """Return the folder of a controller from the text of ``/proc/self/cgroup``.

    With version 1 each controller has a tree of its own, with version 2 there is one for all.
    """
    unified = root
    for line in membership.splitlines():
        number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return root / controller / path.lstrip("/")
        if number == "0" and not names:
            unified = root / path.lstrip("/")
    return unified


def _count(files: dict[str, str], controller: str) -> int:
    """Return the number beside a word in the first of ``files`` that can be read; else 0."""
    try:
        folder = own_folder(Path("/proc/self/cgroup").read_text(), controller)
    except OSError:
        return 0
    for name, word in files.items():
        try:
            lines = (folder / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.split(" ")[0] == word:
                return int(line.split(" ")[1])
    return 0


def out_of_memory_kills() -> int:
    """Count the processes that the kernel killed because the group was out of memory."""
    return _count({"memory.events": "oom_kill", "memory.oom_control": "oom_kill"}, "memory")


def refused_forks() -> int:
    """Count the processes that were not started because the group had as many as it may."""
    return _count({"pids.events": "max"}, "pids")
