"""The hosts of the lab: containers on a bridge of their own that boot systemd and sshd."""

from __future__ import annotations

import contextlib
import ipaddress
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import engine, identity, layout
from lab.process import CommandError, LabError, run, succeeds, wait_until

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.layout import LabHost

_BOOT_SECONDS = 90
#: Each systemd takes about eight; kernels allow 128 to one user, and all hosts are one user's.
_INOTIFY_INSTANCES = 1024
_INOTIFY_SETTING = Path("/proc/sys/fs/inotify/max_user_instances")
_RESOLVER_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True)
class BootedHost:
    """A host that answers over SSH, and what had to be done for that."""

    host: LabHost
    container_id: str
    ssh_key: str
    #: created, started or running
    was: str


def bridge_exists() -> bool:
    """Tell whether the lab's bridge is there; without it packets would leave the machine."""
    return Path("/sys/class/net", layout.BRIDGE).is_dir()


def require_bridge() -> None:
    """Refuse to go on where the lab's bridge does not exist."""
    if not bridge_exists():
        message = f"there is no bridge {layout.BRIDGE}: run ./dev up first"
        raise LabError(message)


def ensure_network() -> None:
    """Make the lab's network unless it is there."""
    if engine.inspect("network", layout.NETWORK) is not None:
        return
    argv = ["docker", "network", "create", "--driver", "bridge", "--label", layout.LABEL]
    argv += ["--subnet", layout.SUBNET, "--gateway", layout.OPERATOR]
    argv += ["--opt", f"com.docker.network.bridge.name={layout.BRIDGE}", layout.NETWORK]
    run(argv, timeout=60)


def usable_nameservers(resolver_text: str) -> list[str]:
    """List the name servers of a resolv.conf that a host can reach as well as this machine."""
    found = []
    for line in resolver_text.splitlines():
        words = line.split()
        if words[:1] != ["nameserver"] or len(words) < 2:  # noqa: PLR2004 - word and address
            continue
        if not ipaddress.ip_address(words[1].split("%")[0]).is_loopback:
            found.append(words[1])
    return found


def _resolver_mount() -> list[str]:
    """Give hosts this machine's name servers.

    The engine's own resolver lives in NAT rules inside the host, which a host's firewall may
    flush, and a nested engine would replace its loopback address by a public server.
    """
    for name in _RESOLVER_FILES:
        path = Path(name)
        servers = usable_nameservers(path.read_text()) if path.is_file() else []
        if servers:
            own = layout.STATE / "resolv.conf"
            own.write_text("".join(f"nameserver {server}\n" for server in servers))
            own.chmod(0o644)
            return ["-v", f"{own}:/etc/resolv.conf"]
    return []


def run_argv(host: LabHost, image: str, flags: list[str]) -> list[str]:
    """Return the command that creates ``host``."""
    argv = ["docker", "run", "--detach", "--stop-signal", "SIGRTMIN+3"]
    argv += ["--name", host.container, "--hostname", host.name]
    argv += ["--label", layout.LABEL, "--network", layout.NETWORK, "--ip", host.address, *flags]
    for volume, path in host.volumes.items():
        argv += ["-v", f"{volume}:{path}"]
    if host.group == "api":
        argv += ["-p", f"127.0.0.1:{layout.EDGE_PORT}:80"]
        argv += ["-p", f"127.0.0.1:{layout.EDGE_TLS_PORT}:443"]
        argv += ["-p", f"127.0.0.1:{layout.CONSOLE_PORT}:8080"]
        argv += ["-p", f"127.0.0.1:{layout.CONSOLE_TLS_PORT}:8443"]
    return [*argv, image]


def ensure_booted(hosts: list[LabHost], image: str) -> list[BootedHost]:
    """Create, start and wait for all ``hosts``, side by side; then know their SSH keys."""
    flags = [*engine.host_run_flags(engine.detect()), *_resolver_mount(), *_devices()]
    allow_many_watchers(len(hosts))
    with ThreadPoolExecutor(max_workers=4) as pool:
        booted = list(pool.map(lambda host: _ensure_one(host, image, flags), hosts))
    if any(each.was != "running" for each in booted):
        forget_connections()
    identity.remember_host_keys({each.host.address: each.ssh_key for each in booted})
    for each in booted:
        _wait_for_ssh(each.host)
    return booted


def allow_many_watchers(count: int) -> None:
    """Raise the kernel's limit of inotify instances where a lab of ``count`` hosts would meet it."""
    default_fits = 8
    if count > default_fits and int(_INOTIFY_SETTING.read_text()) < _INOTIFY_INSTANCES:
        with contextlib.suppress(OSError):
            _INOTIFY_SETTING.write_text(str(_INOTIFY_INSTANCES))


def _devices() -> list[str]:
    """Pass on what builds inside a host can use where this machine has it."""
    return ["--device", "/dev/fuse"] if Path("/dev/fuse").exists() else []


def _ensure_one(host: LabHost, image: str, flags: list[str]) -> BootedHost:
    found = engine.inspect("container", host.container)
    if found is None:
        for volume in host.volumes:
            run(["docker", "volume", "create", "--label", layout.LABEL, volume], timeout=60)
        was, identifier = "created", run(run_argv(host, image, flags), timeout=120).strip()
    else:
        was, identifier = "running", str(found["Id"])
        if not found["State"]["Running"]:
            was = "started"
            run(["docker", "start", host.container], timeout=60)
    if was != "running":
        _wait_for_boot(host)
    _authorize(host)
    key = execute(host, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
    return BootedHost(host, identifier, " ".join(key.split()[:2]), was)


def execute(host: LabHost, argv: list[str], *, stdin: bytes | None = None) -> str:
    """Run a command as root in the host, without SSH."""
    return run(["docker", "exec", "-i", host.container, *argv], stdin=stdin, timeout=_BOOT_SECONDS)


def _wait_for_boot(host: LabHost) -> None:
    ask = ["docker", "exec", host.container, "systemctl", "is-system-running", "--wait"]

    def booted() -> bool:
        # "degraded" (a unit failed) still is a host that Ansible can reach and mend.
        try:
            return bool(run([*ask[:3], "systemctl", "is-active", "ssh.service"], timeout=30))
        except CommandError:
            return False

    if not wait_until(booted, seconds=_BOOT_SECONDS):
        message = f"{host.name} did not boot within {_BOOT_SECONDS} s"
        raise LabError(message, host=host.name)
    # The first boot ends after sshd is up; the code says only whether a unit failed.
    succeeds(ask, timeout=_BOOT_SECONDS)


def _authorize(host: LabHost) -> None:
    install = ["install", "-m", "0600", "/dev/stdin", "/root/.ssh/authorized_keys"]
    execute(host, install, stdin=identity.public_key())


def ssh_argv(host: LabHost, command: Iterable[str] = ()) -> list[str]:
    """Return the ssh command line that reaches ``host`` as Ansible does."""
    argv = ["ssh", "-i", str(identity.SSH_KEY), "-o", f"UserKnownHostsFile={identity.KNOWN_HOSTS}"]
    argv += ["-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"]
    return [*argv, f"root@{host.address}", *command]


def _wait_for_ssh(host: LabHost) -> None:
    require_bridge()
    argv = ssh_argv(host, ["true"])
    argv[1:1] = ["-o", "BatchMode=yes"]
    if not wait_until(lambda: succeeds(argv), seconds=_BOOT_SECONDS):
        message = f"{host.name} does not answer over SSH at {host.address}"
        raise LabError(message, host=host.name)


def forget_connections() -> None:
    """Close the connections that Ansible keeps open.

    One to a host that was removed would hang until TCP gives up, also when a new host has its address.
    """
    for path in (layout.ROOT / ".ansible" / "cp").glob("*"):
        succeeds(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "lab"])


def write_extra_hosts(hosts: list[LabHost]) -> None:
    """Write the inventory of the hosts that inventory/lab.ini does not list."""
    listed = {host.name for host in layout.lab_hosts()}
    lines = ["# Hosts beyond those of inventory/lab.ini; written by ./dev up\n"]
    for group in ("runner", "runtime"):
        lines.append(f"\n[{group}]\n")
        extra = [host for host in hosts if host.group == group and host.name not in listed]
        lines += [f"{host.name} ansible_host={host.address}\n" for host in extra]
    layout.write_private(layout.EXTRA_HOSTS, "".join(lines).encode())


def existing() -> list[LabHost]:
    """List the hosts of the lab that exist, running or not."""
    if not engine.answers():
        return []
    argv = ["docker", "ps", "--all", "--filter", f"label={layout.LABEL}", "--format", "{{.Names}}"]
    names = set(run(argv, timeout=60).split())
    every = layout.lab_hosts(layout.MAX_PER_GROUP, layout.MAX_PER_GROUP)
    return [host for host in every if host.container in names]


def remove_all() -> list[str]:
    """Remove every container, volume and network of the lab; return their names."""
    removed: list[str] = []
    forget_connections()
    for kind, listing, remove in (
        ("container", ["ps", "--all", "--format", "{{.Names}}"], ["rm", "--force", "--volumes"]),
        ("volume", ["volume", "ls", "--format", "{{.Name}}"], ["volume", "rm"]),
        ("network", ["network", "ls", "--format", "{{.Name}}"], ["network", "rm"]),
    ):
        argv = ["docker", *listing, "--filter", f"label={layout.LABEL}"]
        names = run(argv, timeout=60).split()
        if names:
            run(["docker", *remove, *names], timeout=180)
        removed += [f"{kind} {name}" for name in names]
    return removed
