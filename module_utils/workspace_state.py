"""What a workspace's container is and shall be; pure, shared by modules in ``library/``.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, replace

JSONObject = dict[str, t.Any]

MANAGED_LABEL = "io.funai.managed"
USER_LABEL = "io.funai.user"
#: Ports that are chosen lie below those that the kernel gives to outgoing connections.
FIRST_PORT, LAST_CHOSEN_PORT, LAST_PORT = 20000, 32767, 65535
#: What a new workspace gets where the options do not say (contract, section 8).
NEW_CONTAINER_PORT, NEW_MEMORY_MIB, NEW_CPUS = 5173, 512, 1.0
CONTAINER_FOLDER = "/workspace"
LOOPBACK = "127.0.0.1"
PIDS_LIMIT = 512
NO_NEW_PRIVILEGES = "no-new-privileges"
RESTART_POLICY = "unless-stopped"
_MIB = 1 << 20
_NANO = 1_000_000_000


class WorkspaceError(Exception):
    """A workspace cannot be as declared; the text says what to do."""


@dataclass(frozen=True)
class Workspace:
    """A workspace's container: what it is made with."""

    image: str
    #: Id of the image that it runs; empty where that image is not on the host.
    image_id: str
    host_port: int
    container_port: int = NEW_CONTAINER_PORT
    memory_mib: int = NEW_MEMORY_MIB
    cpus: float = NEW_CPUS
    #: Empty: the image's own.
    command: tuple[str, ...] = ()
    #: Sorted pairs beyond the image's own.
    environment: tuple[tuple[str, str], ...] = ()
    #: The user's folder on the host.
    folder: str = ""
    #: ``uid:gid`` of the processes.
    user: str = ""
    #: Whether it has the platform's label and the user's.
    labelled: bool = True
    #: Whether it is on loopback only, without capabilities and new privileges, limited in processes
    #: and restarted.
    confined: bool = True


def container_name(user_id: int) -> str:
    """Return the name of a user's container (contract, section 8)."""
    return f"ws-u-{user_id}"


def labels(user_id: int) -> dict[str, str]:
    """Return the labels by which a workspace is known as the platform's."""
    return {MANAGED_LABEL: "true", USER_LABEL: str(user_id)}


def is_managed(container: JSONObject, user_id: int) -> bool:
    """Return whether the container has the platform's labels for that user."""
    given = container["Config"].get("Labels") or {}
    return all(given.get(label) == value for label, value in labels(user_id).items())


def host_ports(container: JSONObject) -> list[int]:
    """Return the ports of the host that the container has, running or not."""
    bindings = container["HostConfig"].get("PortBindings") or {}
    hosts = [binding for bound in bindings.values() for binding in bound or []]
    return [int(binding["HostPort"]) for binding in hosts if binding.get("HostPort")]


def image_environment(image: JSONObject | None) -> dict[str, str]:
    """Return the environment that an image brings."""
    pairs = ((image or {}).get("Config") or {}).get("Env") or []
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def beyond(
    environment: t.Mapping[str, str], image: JSONObject | None
) -> tuple[tuple[str, str], ...]:
    """Return what ``environment`` adds to the image's own or changes of it, sorted."""
    own = image_environment(image)
    return tuple(sorted(pair for pair in environment.items() if own.get(pair[0]) != pair[1]))


def own_or(command: t.Sequence[str], image: JSONObject | None) -> tuple[str, ...]:
    """Return the command, or nothing where it is the image's own."""
    own = ((image or {}).get("Config") or {}).get("Cmd") or []
    return () if list(command) == own else tuple(command)


def read_workspace(container: JSONObject, image: JSONObject | None, user_id: int) -> Workspace:
    """Return a container as the engine describes it.

    :param image: the image that it was made from
    """
    config, host = container["Config"], container["HostConfig"]
    bindings = host.get("PortBindings") or {}
    inside = next(iter(bindings), f"{NEW_CONTAINER_PORT}/tcp")
    mounts = {mount["Destination"]: mount["Source"] for mount in container.get("Mounts") or []}
    pairs = dict(pair.split("=", 1) for pair in config.get("Env") or [] if "=" in pair)
    return Workspace(
        image=config["Image"],
        image_id=bare_id(container["Image"]),
        host_port=next(iter(host_ports(container)), 0),
        container_port=int(inside.partition("/")[0]),
        memory_mib=int(host.get("Memory") or 0) // _MIB,
        cpus=int(host.get("NanoCpus") or 0) / _NANO,
        command=own_or(config.get("Cmd") or [], image),
        environment=beyond(pairs, image),
        folder=mounts.get(CONTAINER_FOLDER, ""),
        user=config.get("User") or "",
        labelled=is_managed(container, user_id),
        confined=is_confined(host),
    )


def is_confined(host: JSONObject) -> bool:
    """Return whether the engine holds the container within the platform's limits."""
    options = host.get("SecurityOpt") or []
    bindings = (host.get("PortBindings") or {}).values()
    addresses = {binding.get("HostIp") for bound in bindings for binding in bound or []}
    return (
        addresses == {LOOPBACK}
        and bool(host.get("CapDrop"))
        and any(option.startswith(NO_NEW_PRIVILEGES) for option in options)
        and host.get("PidsLimit") == PIDS_LIMIT
        and (host.get("RestartPolicy") or {}).get("Name") == RESTART_POLICY
    )


def bare_id(image_id: str) -> str:
    """Return an image's id without its algorithm, which not every engine names."""
    return image_id.removeprefix("sha256:")


def desired_workspace(
    params: JSONObject, current: Workspace | None, image: JSONObject | None, host_port: int
) -> Workspace:
    """Return the workspace that the options ask for; what they leave out stays as it is.

    :param image: the wanted image, where it is on the host
    :raises WorkspaceError: where a new workspace has no image
    """
    name = params["image"] or (current.image if current else None)
    if name is None:
        msg = "there is no such container yet, and a new one needs image"
        raise WorkspaceError(msg)
    same_name = current is not None and current.image == name
    # An image that went from the host is not fetched again for a container that it still runs in.
    kept_id = current.image_id if current and (same_name and image is None) else ""
    base = current or Workspace(name, "", host_port)
    given: JSONObject = {
        key: params[key]
        for key in ("container_port", "memory_mib", "cpus")
        if params[key] is not None
    }
    if params["command"] is not None:
        given["command"] = own_or(params["command"], image)
    if params["environment"] is not None:
        pairs = {str(key): str(value) for key, value in params["environment"].items()}
        given["environment"] = beyond(pairs, image)
    return replace(
        base,
        image=name,
        image_id=bare_id(image["Id"]) if image else kept_id,
        host_port=host_port,
        folder=f"{params['root'].rstrip('/')}/{params['user_id']}",
        user=f"{params['uid']}:{params['uid']}",
        labelled=True,
        confined=True,
        **given,
    )


def choose_port(
    wanted: int | None,
    own: t.Iterable[int],
    taken: t.Mapping[int, str],
    is_free: t.Callable[[int], bool],
) -> int:
    """Return the port of the host: the wanted one, else one it has, else the lowest free one.

    :param own: ports that the workspace has already, the best first
    :param taken: who has a port, by port; without the workspace itself
    :raises WorkspaceError: where the wanted one is out of range or another's, or none is free
    """
    had = list(own)
    if wanted is not None:
        _check_wanted(wanted, had, taken, is_free)
        return wanted
    for port in had:
        if FIRST_PORT <= port <= LAST_PORT and port not in taken:
            return port
    for port in range(FIRST_PORT, LAST_CHOSEN_PORT + 1):
        if port not in taken and is_free(port):
            return port
    msg = (
        f"every port from {FIRST_PORT} to {LAST_CHOSEN_PORT} is taken. Remove workspaces that "
        "nobody needs (state: absent), or name a higher host_port."
    )
    raise WorkspaceError(msg)


def _check_wanted(
    wanted: int, had: list[int], taken: t.Mapping[int, str], is_free: t.Callable[[int], bool]
) -> None:
    if not FIRST_PORT <= wanted <= LAST_PORT:
        msg = f"host_port {wanted} is not from {FIRST_PORT} to {LAST_PORT}. Choose one that is."
        raise WorkspaceError(msg)
    holder = taken.get(wanted)
    if holder is None and wanted not in had and not is_free(wanted):
        holder = "another process of this host"
    if holder is not None:
        msg = (
            f"port {wanted} belongs to {holder}. Choose another host_port, or leave it out to get "
            "a free one."
        )
        raise WorkspaceError(msg)


def engine_settings(workspace: Workspace, user_id: int) -> JSONObject:
    """Return the body that makes the container (Docker Engine API, ContainerCreate)."""
    inside = f"{workspace.container_port}/tcp"
    settings: JSONObject = {
        "Image": workspace.image,
        "User": workspace.user,
        "Labels": labels(user_id),
        "Env": [f"{name}={value}" for name, value in workspace.environment],
        "ExposedPorts": {inside: {}},
        "HostConfig": {
            "Binds": [f"{workspace.folder}:{CONTAINER_FOLDER}"],
            "PortBindings": {inside: [{"HostIp": LOOPBACK, "HostPort": str(workspace.host_port)}]},
            "Memory": workspace.memory_mib * _MIB,
            "NanoCpus": round(workspace.cpus * _NANO),
            "PidsLimit": PIDS_LIMIT,
            "CapDrop": ["ALL"],
            "SecurityOpt": [NO_NEW_PRIVILEGES],
            "RestartPolicy": {"Name": RESTART_POLICY},
        },
    }
    if workspace.command:
        settings["Cmd"] = list(workspace.command)
    return settings


def shown(workspace: Workspace | None, *, running: bool, port_map: str) -> JSONObject:
    """Return a workspace for people: the values of its environment may be secrets and stay out."""
    state = "absent" if workspace is None else "started" if running else "stopped"
    if workspace is None:
        return {"state": state, "port_map": port_map}
    said = asdict(workspace)
    said["command"] = list(workspace.command)
    said["image_id"] = workspace.image_id[:12]
    said["environment"] = [name for name, _ in workspace.environment]
    return {"state": state, **said, "port_map": port_map}


def difference(
    current: Workspace | None, desired: Workspace | None, before: JSONObject, after: JSONObject
) -> JSONObject:
    """Return Ansible's diff; a variable whose value alone changes is marked."""
    if current and desired:
        old = dict(current.environment)
        after = {
            **after,
            "environment": [
                f"{name} (new value)" if old.get(name, value) != value else name
                for name, value in desired.environment
            ],
        }
    return {"before": before, "after": after}
