"""What hosts say of their services and disks, asked over SSH as Ansible would reach them."""

from __future__ import annotations

import getopt
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fabric
import paramiko

from cli import units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.inventory import Host

_CONNECT_SECONDS = 8
_COMMAND_SECONDS = 20
_AT_ONCE = 8
#: Options of ssh that take a value, of which these are understood.
_VALUES = "o:i:p:l:J:F:b:c:D:E:e:I:L:m:O:Q:R:S:W:w:"
_FLAGS = "46AaCfGgKkMNnqsTtVvXxYy"
_LETTERS = {"-i": "IdentityFile", "-p": "Port", "-l": "User", "-J": "ProxyJump"}
_PLACES = ("/", "/var/lib/docker", "/var/lib/containers")
#: Free space below which a host is not well: Deploy's own floor for nodes is 15 %.
DISK_FLOOR_RATIO = 0.10


@dataclass(frozen=True)
class Unit:
    """A unit as systemd has it."""

    name: str
    state: str
    #: Whether the platform is not whole without it.
    expected: bool

    @property
    def ok(self) -> bool:
        """Whether it is as it should be; a timer's service that has ended is."""
        return self.state == "active" if self.expected else self.state != "failed"


@dataclass(frozen=True)
class Disk:
    """A file system."""

    mount: str
    size_bytes: int
    used_bytes: int
    free_bytes: int

    @property
    def free_ratio(self) -> float:
        """Free share of what programs may use, 0 to 1, as in the percentage of ``df``."""
        usable = self.used_bytes + self.free_bytes
        return self.free_bytes / usable if usable else 1.0

    @property
    def ok(self) -> bool:
        """Whether there is room."""
        return self.free_ratio >= DISK_FLOOR_RATIO


@dataclass(frozen=True)
class Look:
    """What a host answered; ``trouble`` says why it did not."""

    host: Host
    units: tuple[Unit, ...] = ()
    disks: tuple[Disk, ...] = ()
    trouble: str | None = None

    @property
    def ok(self) -> bool:
        """Whether all is well there."""
        whole = all(unit.ok for unit in self.units) and all(disk.ok for disk in self.disks)
        return self.trouble is None and whole


def look_at_all(found: Sequence[Host], done: Callable[[], None]) -> list[Look]:
    """Ask hosts side by side.

    :param done: called when one has answered
    """

    def look(host: Host) -> Look:
        seen = look_at(host)
        done()
        return seen

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(look, found))


def look_at(host: Host) -> Look:
    """Ask one host; one that does not answer gives a look with the reason."""
    wanted = units.expected(host.groups, host.without)
    try:
        with connect(host) as connection:
            answer = connection.run(
                _question(wanted), hide=True, warn=True, in_stream=False, timeout=_COMMAND_SECONDS
            )
    except paramiko.BadHostKeyException:
        trouble = "shows another host key than the one that is known"
    except (paramiko.SSHException, OSError, EOFError) as error:
        trouble = f"no SSH: {error or type(error).__name__}"
    else:
        states, _, disks = answer.stdout.partition("\n--\n")
        return Look(host, parse_units(states, wanted), parse_disks(disks))
    return Look(host, trouble=" ".join(trouble.split()))


def connect(host: Host) -> fabric.Connection:
    """Return a connection that takes the host's key only if it is known, as Ansible would."""
    options = ssh_options(host.ssh_arguments)
    config = fabric.Config(ssh_config=paramiko.SSHConfig.from_text(_config_text(options)))
    only_this_key = options.get("identitiesonly", "").lower() == "yes" and bool(host.key_file)
    wishes: dict[str, object] = {
        "banner_timeout": _CONNECT_SECONDS,
        "auth_timeout": _CONNECT_SECONDS,
        "allow_agent": not only_this_key,
        "look_for_keys": not only_this_key,
    }
    if host.key_file:
        wishes["key_filename"] = str(Path(host.key_file).expanduser())
    if host.password:
        wishes["password"] = host.password
    connection = fabric.Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=config,
        connect_timeout=_CONNECT_SECONDS,
        connect_kwargs=wishes,
    )
    _trust(connection.client, options)
    return connection


def _trust(client: paramiko.SSHClient, options: dict[str, str]) -> None:
    default = "~/.ssh/known_hosts /etc/ssh/ssh_known_hosts"
    for name in shlex.split(options.get("userknownhostsfile", default)):
        path = Path(name).expanduser()
        if path.is_file():
            client.load_system_host_keys(str(path))
    if options.get("stricthostkeychecking", "").lower() not in {"no", "off"}:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())


def ssh_options(arguments: str) -> dict[str, str]:
    """Return the options that arguments of ``ssh`` set, by name in lower case; the first counts."""
    parsed, _ = getopt.gnu_getopt(shlex.split(arguments), _VALUES + _FLAGS)
    found: dict[str, str] = {}
    for letter, value in parsed:
        if letter == "-o":
            name, _, text = value.replace("=", " ", 1).strip().partition(" ")
            found.setdefault(name.lower(), text.strip().strip('"'))
        elif letter in _LETTERS:
            found.setdefault(_LETTERS[letter].lower(), value)
    return found


def _config_text(options: dict[str, str]) -> str:
    """Return a configuration of ssh in which these options come before the user's own file."""
    own = "".join(f"  {name} {value}\n" for name, value in options.items())
    path = Path("~/.ssh/config").expanduser()
    rest = path.read_text(encoding="utf-8") if path.is_file() else ""
    return f"Host *\n{own}\n{rest}"


def _question(wanted: Sequence[str]) -> str:
    """Return the one command for a host; it is made of constants."""
    names = shlex.join([*(f"{name}.service" for name in wanted), *units.OURS])
    shown = f"systemctl show --property=Id,ActiveState,LoadState -- {names}"
    return f"LC_ALL=C {shown}; echo --; LC_ALL=C df -B1 -P {' '.join(_PLACES)} 2>/dev/null"


def parse_units(text: str, wanted: Sequence[str]) -> tuple[Unit, ...]:
    """Return the units that ``systemctl show`` told of: the wanted ones first, then others of ours.

    Of the others those are left out that neither run nor failed, and timers and sockets that wait.
    """
    states: dict[str, str] = {}
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.strip().splitlines())
        values = {key: value for key, _, value in pairs}
        if "Id" in values:
            missing = values.get("LoadState") == "not-found"
            states[values["Id"]] = "not installed" if missing else values.get("ActiveState", "")
    found = [Unit(n, states.get(f"{n}.service", "not installed"), expected=True) for n in wanted]
    for name, state in sorted(states.items()):
        base = name.removesuffix(".service")
        is_service = base != name
        if base in wanted or "@" in base:
            worth = base not in wanted and state == "failed"
        else:
            worth = state == "failed" or (is_service and state == "active")
        if worth:
            found.append(Unit(base, state, expected=False))
    return tuple(found)


def parse_disks(text: str) -> tuple[Disk, ...]:
    """Return the file systems of ``df -P -B1``, each once."""
    found: dict[tuple[str, str, str], Disk] = {}
    width = 6
    for line in text.splitlines():
        fields = line.split(None, width - 1)
        if len(fields) == width and all(field.isdigit() for field in fields[1:4]):
            disk = Disk(fields[5], *map(int, fields[1:4]))
            found.setdefault((fields[0], fields[1], fields[2]), disk)
    return tuple(found.values())
