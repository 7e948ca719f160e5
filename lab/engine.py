"""The container engine of this machine: start it where none runs, learn what it can."""

from __future__ import annotations

import json
import os
import signal
import typing as t
from dataclasses import dataclass
from pathlib import Path

from lab import layout
from lab.process import LabError, run, start_detached, succeeds, tail, wait_until

_CAP_SYS_RESOURCE = 24
_START_SECONDS = 60
_ENGINE_PID = Path("/var/run/docker.pid")
_STARTED_BY_US = layout.STATE / "dockerd.pid"
_SYSTEMD_HIERARCHY = Path("/sys/fs/cgroup/systemd")


@dataclass(frozen=True)
class EngineFeatures:
    """What decides how a host must be started."""

    cgroup_version: int
    #: Whether CAP_SYS_RESOURCE may be given to a container.
    sys_resource: bool


def bounding_set_has(status: str, capability: int) -> bool:
    """Read from the text of ``/proc/PID/status`` whether a capability may be passed on."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def host_run_flags(features: EngineFeatures) -> list[str]:
    """Return the ``docker run`` flags with which a container can boot systemd."""
    flags = ["--tmpfs", "/run", "--tmpfs", "/run/lock"]
    shared_cgroups = ["--cgroupns=host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    if features.sys_resource:
        rights = ["--privileged"]
    else:
        # --privileged asks for every capability and fails where one is missing.
        rights = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
        for option in ("seccomp", "apparmor", "systempaths"):
            rights += ["--security-opt", f"{option}=unconfined"]
    private = features.sys_resource and features.cgroup_version > 1
    return [*rights, *(["--cgroupns=private"] if private else shared_cgroups), *flags]


def detect() -> EngineFeatures:
    """Ask the running engine and the kernel."""
    info = json.loads(run(["docker", "info", "--format", "{{json .}}"], timeout=60))
    return EngineFeatures(
        cgroup_version=int(info.get("CgroupVersion") or 1),
        sys_resource=bounding_set_has(_engine_status(), _CAP_SYS_RESOURCE),
    )


def _engine_status() -> str:
    """Return the engine's ``/proc`` status, or ours where its process cannot be seen."""
    try:
        return Path(f"/proc/{int(_ENGINE_PID.read_text())}/status").read_text()
    except (OSError, ValueError):
        return Path("/proc/self/status").read_text()


def answers() -> bool:
    """Tell whether a container engine answers."""
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"])


def ensure_running() -> str:
    """Make sure that an engine answers; return how it came to run."""
    if answers():
        return "uses the running engine"
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"], timeout=120)
        return "started by systemd"
    _start_by_hand()
    return "started without an init system"


def _start_by_hand() -> None:
    _mount_systemd_hierarchy()
    log = layout.LOGS / "dockerd.log"
    process = start_detached(["dockerd"], log)
    up = wait_until(lambda: answers() or process.poll() is not None, seconds=_START_SECONDS)
    if not up or process.poll() is not None:
        reason = tail(log.read_text(errors="replace"), 5)
        message = f"dockerd does not answer: {reason}"
        raise LabError(message, log=log)
    layout.write_private(_STARTED_BY_US, f"{process.pid}\n".encode())


def _mount_systemd_hierarchy() -> None:
    """Give systemd the named hierarchy that it needs on cgroup v1 and nobody has mounted yet."""
    parent = _SYSTEMD_HIERARCHY.parent
    if (parent / "cgroup.controllers").exists() or _SYSTEMD_HIERARCHY.exists():
        return
    if parent.is_dir():
        _SYSTEMD_HIERARCHY.mkdir()
        options = "none,name=systemd"
        run(["mount", "-t", "cgroup", "-o", options, "cgroup", str(_SYSTEMD_HIERARCHY)])


def stop_if_ours() -> bool:
    """Stop the engine when the lab started it and no container is left in it."""
    try:
        pid = int(_STARTED_BY_US.read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return False
    if name != "dockerd" or run(["docker", "ps", "-q"], timeout=60).strip():
        return False
    os.kill(pid, signal.SIGTERM)
    _STARTED_BY_US.unlink()
    return wait_until(lambda: not _is_alive(pid), seconds=_START_SECONDS)


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody asked about does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def inspect(kind: str, name: str) -> dict[str, t.Any] | None:
    """Return what the engine knows of the ``kind`` (container, network, image, ...) or None."""
    if not succeeds(["docker", kind, "inspect", name]):
        return None
    found: list[dict[str, t.Any]] = json.loads(run(["docker", kind, "inspect", name], timeout=60))
    return found[0]
