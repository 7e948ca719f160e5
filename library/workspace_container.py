#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_container
short_description: Keep a user's development container and its preview declared
description:
  - Keeps one container C(ws-u-{user_id}) on this host as declared, with the user's folder in it as
    C(/workspace), its port on loopback, and the line by which the preview gateway finds that port.
  - A container that differs is made anew, under the new settings before the old one goes. The user's
    folder is never removed and what is in it never touched.
  - A container of that name without the labels C(io.funai.managed) and C(io.funai.user) is refused,
    see O(adopt).
  - What is left out stays as it is; a new container gets the default that the option names.
  - A tag of O(image) that was pushed again is not seen until somebody pulls it on this host.
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the change and writes nothing; an image that is not here is not pulled.
    support: full
  diff_mode:
    description: Returns the workspace before and after; of its environment the names only.
    support: full
  idempotent:
    description: The second run with the same options changes nothing.
    support: full
options:
  user_id:
    description: Number of the user.
    type: int
    required: true
  state:
    description:
      - V(present) makes the container and leaves it running or stopped as it is; a new one is stopped.
      - V(started) and V(stopped) also start and stop it. The preview of a stopped one says that it sleeps.
      - V(absent) removes the container and its line in the map. The folder stays.
    type: str
    choices: [present, started, stopped, absent]
    default: started
  image:
    description: Reference of the image. A new container needs it; it is pulled where the host has none.
    type: str
  host_port:
    description:
      - Port on the host's loopback, from 20000 to 65535.
      - Left out, a workspace keeps the one it has, and a new one gets the lowest from 20000 to 32767
        that no container, no line of the maps and no process of this host has.
    type: int
  container_port:
    description: Port that the development server listens on. Of a new container V(5173).
    type: int
  memory_mib:
    description: Memory limit, in MiB. Of a new container V(512).
    type: int
  cpus:
    description: CPU limit, in CPUs. Of a new container V(1.0).
    type: float
  environment:
    description: Environment variables beyond those of the image.
    type: dict
  command:
    description: Command and arguments; an empty list is the image's own.
    type: list
    elements: str
  adopt:
    description:
      - Take over a container of that name that has no labels, as an earlier system made it.
      - It is made anew with its port and the user's folder.
    type: bool
    default: false
  root:
    description: Folder of the users' folders on the host.
    type: path
    default: /data/funai/workspaces
  uid:
    description: User and group of the processes in the container, and owner of the folder.
    type: int
    default: 1000
  ports_dir:
    description:
      - Folder of the maps that nginx includes. Empty writes no line.
      - Reload nginx where RV(ports_changed) is true.
    type: str
    default: /etc/nginx/funai-workspaces
  engine_socket:
    description: Socket of the container engine (Docker, or Podman's compatible one).
    type: path
    default: /var/run/docker.sock
  engine_accounts:
    description: File with the accounts of registries, as C(docker login) writes it.
    type: path
    default: /root/.docker/config.json
  pull_timeout:
    description: Seconds for an image to arrive.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Keep a workspace running, on a port that is free
  workspace_container:
    user_id: 7
    image: registry.example/team/dev:1
    memory_mib: 1024
  notify: Reload nginx

- name: Take over a workspace of the earlier system
  workspace_container:
    user_id: 8
    image: registry.example/team/dev:1
    adopt: true

- name: Let a workspace sleep
  workspace_container:
    user_id: 7
    state: stopped

- name: Remove it; the user's files stay
  workspace_container:
    user_id: 7
    state: absent
"""

RETURN = r"""
workspace:
  description: The workspace after the run, or as it would be in check mode.
  returned: success
  type: dict
  sample:
    user_id: 7
    name: ws-u-7
    state: started
    image: registry.example/team/dev:1
    host_port: 20000
    container_port: 5173
    memory_mib: 1024
    cpus: 1.0
    folder: /data/funai/workspaces/7
ports_changed:
  description: Whether the map changed, so that nginx must read it again.
  returned: success
  type: bool
  sample: true
"""

import typing as t
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.container_engine import Engine, EngineError
    from module_utils.workspace_host import Folders, PortMap, is_port_free, one_at_a_time
    from module_utils.workspace_state import (
        JSONObject,
        Workspace,
        WorkspaceError,
        choose_port,
        container_name,
        desired_workspace,
        difference,
        engine_settings,
        host_ports,
        is_managed,
        read_workspace,
        shown,
    )
else:
    from ansible.module_utils.container_engine import Engine, EngineError
    from ansible.module_utils.workspace_host import Folders, PortMap, is_port_free, one_at_a_time
    from ansible.module_utils.workspace_state import (
        WorkspaceError,
        choose_port,
        container_name,
        desired_workspace,
        difference,
        engine_settings,
        host_ports,
        is_managed,
        read_workspace,
        shown,
    )

#: Two runs at once could choose the same port.
LOCK = "/run/lock/funai-workspaces"
ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "user_id": {"type": "int", "required": True},
    "state": {
        "type": "str",
        "choices": ["present", "started", "stopped", "absent"],
        "default": "started",
    },
    "image": {"type": "str"},
    "host_port": {"type": "int"},
    "container_port": {"type": "int"},
    "memory_mib": {"type": "int"},
    "cpus": {"type": "float"},
    "environment": {"type": "dict"},
    "command": {"type": "list", "elements": "str"},
    "adopt": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/data/funai/workspaces"},
    "uid": {"type": "int", "default": 1000},
    "ports_dir": {"type": "str", "default": "/etc/nginx/funai-workspaces"},
    "engine_socket": {"type": "path", "default": "/var/run/docker.sock"},
    "engine_accounts": {"type": "path", "default": "/root/.docker/config.json"},
    "pull_timeout": {"type": "int", "default": 600},
}


class Containers(t.Protocol):
    """What the module needs of the engine; the tests pass a fake."""

    def container(self, name: str) -> JSONObject | None:
        """Return what the engine knows of a container, or None."""

    def containers(self) -> list[JSONObject]:
        """Return every container."""

    def image(self, reference: str) -> JSONObject | None:
        """Return what the engine knows of an image that is on the host, or None."""

    def pull(self, reference: str) -> None:
        """Fetch an image."""

    def create(self, name: str, settings: JSONObject) -> None:
        """Make a container; it does not run yet."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""

    def start(self, name: str) -> None:
        """Start a container."""

    def stop(self, name: str) -> None:
        """Stop a container and keep it."""

    def remove(self, name: str) -> None:
        """Remove a container."""


@dataclass(frozen=True)
class Found:
    """What is on the host now."""

    #: As the engine describes it; None where there is none.
    container: JSONObject | None
    workspace: Workspace | None
    running: bool
    map_file: str | None


@dataclass(frozen=True)
class Plan:
    """What shall be on the host; None for the workspace is none."""

    workspace: Workspace | None
    running: bool
    map_file: str | None
    #: Whether the user's folder is missing or another's.
    folder: bool


class Workspaces:
    """Looks at a workspace, decides once, and acts.

    :param is_free: whether no process of the host listens on a port
    """

    def __init__(
        self,
        engine: Containers,
        ports: PortMap,
        folders: Folders,
        is_free: t.Callable[[int], bool],
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._folders = folders
        self._is_free = is_free

    def converge(self, params: JSONObject, *, check_mode: bool) -> JSONObject:
        """Bring the workspace to the declared one and return the module's result.

        :raises WorkspaceError: where it cannot be as declared
        :raises EngineError: where the engine refuses or does not answer
        """
        user_id = params["user_id"]
        found = self._look(user_id)
        if found.container and not is_managed(found.container, user_id) and not params["adopt"]:
            raise WorkspaceError(_refusal(user_id))
        plan = self._plan(params, found)
        ports_changed = plan.map_file != found.map_file
        same = (plan.workspace, plan.running) == (found.workspace, found.running)
        changed = ports_changed or plan.folder or not same
        if changed and not check_mode:
            self._act(user_id, params["uid"], found, plan)
        before = _rendered(user_id, found)
        after = _rendered(user_id, plan)
        return {
            "changed": changed,
            "workspace": after,
            "ports_changed": ports_changed,
            "diff": difference(found.workspace, plan.workspace, before, after),
        }

    def _look(self, user_id: int) -> Found:
        container = self._engine.container(container_name(user_id))
        map_file = self._ports.current_file(user_id)
        if container is None:
            return Found(None, None, running=False, map_file=map_file)
        image = self._engine.image(container["Image"])
        workspace = read_workspace(container, image, user_id)
        return Found(container, workspace, bool(container["State"]["Running"]), map_file)

    def _plan(self, params: JSONObject, found: Found) -> Plan:
        user_id, state = params["user_id"], params["state"]
        if state == "absent":
            return Plan(None, running=False, map_file=None, folder=False)
        reference = params["image"] or (found.workspace.image if found.workspace else "")
        image = self._engine.image(reference) if reference else None
        port = self._choose_port(params, found)
        workspace = desired_workspace(params, found.workspace, image, port)
        return Plan(
            workspace,
            running=found.running if state == "present" else state == "started",
            map_file=self._ports.wanted_file(user_id, port),
            folder=self._folders.needs_change(workspace.folder, params["uid"]),
        )

    def _choose_port(self, params: JSONObject, found: Found) -> int:
        user_id, wanted = params["user_id"], params["host_port"]
        lines = self._ports.lines()
        taken = {
            line.port: f"user {line.user_id} in {line.file}"
            for line in lines
            if line.user_id != user_id
        }
        own = [found.workspace.host_port] if found.workspace else []
        own += [line.port for line in lines if line.user_id == user_id]
        settled = found.workspace is not None and found.workspace.labelled
        if not settled or wanted not in {None, *own[:1]}:
            # To ask for every container is slow where there are hundreds.
            taken |= self._ports_of_containers(user_id)
        return choose_port(wanted, own, taken, self._is_free)

    def _ports_of_containers(self, user_id: int) -> dict[int, str]:
        holders: dict[int, str] = {}
        for container in self._engine.containers():
            name = str(container["Name"]).lstrip("/")
            if name not in {container_name(user_id), _next_name(user_id)}:
                holders |= dict.fromkeys(host_ports(container), f"container {name}")
        return holders

    def _act(self, user_id: int, uid: int, found: Found, plan: Plan) -> None:
        name = container_name(user_id)
        if plan.workspace is None:
            if found.container:
                self._engine.remove(name)
        else:
            if plan.folder:
                self._folders.make(plan.workspace.folder, uid)
            made = plan.workspace != found.workspace
            if made:
                self._make(user_id, found, plan.workspace)
            if plan.running and (made or not found.running):
                self._engine.start(name)
            elif found.running and not plan.running and not made:
                self._engine.stop(name)
        if plan.map_file != found.map_file:
            self._ports.write(user_id, plan.map_file)

    def _make(self, user_id: int, found: Found, workspace: Workspace) -> None:
        """Make the container anew; what cannot be made leaves the old one as it was."""
        name, fresh = container_name(user_id), _next_name(user_id)
        if self._engine.image(workspace.image) is None:
            self._engine.pull(workspace.image)
        left = self._engine.container(fresh)
        if left and is_managed(left, user_id):
            self._engine.remove(fresh)
        self._engine.create(fresh, engine_settings(workspace, user_id))
        if found.container:
            self._engine.stop(name)
            self._engine.remove(name)
        self._engine.rename(fresh, name)


def _next_name(user_id: int) -> str:
    return f"{container_name(user_id)}-next"


def _refusal(user_id: int) -> str:
    name = container_name(user_id)
    return (
        f"there is a container {name} that this platform did not make (it lacks the labels "
        f"io.funai.managed=true and io.funai.user={user_id}). Set adopt: true to have it made anew "
        f"with its port and the user's folder, or remove it: docker rm --force {name}"
    )


def _rendered(user_id: int, side: Found | Plan) -> JSONObject:
    said = shown(side.workspace, running=side.running, port_map=side.map_file or "")
    return {"user_id": user_id, "name": container_name(user_id), **said}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    workspaces = Workspaces(
        Engine(
            params["engine_socket"],
            pull_timeout=params["pull_timeout"],
            accounts=params["engine_accounts"],
        ),
        PortMap(params["ports_dir"]),
        Folders(),
        is_port_free,
    )
    try:
        with one_at_a_time(LOCK):
            result = workspaces.converge(params, check_mode=module.check_mode)
    except (WorkspaceError, EngineError, OSError) as exc:
        name = container_name(params["user_id"])
        module.fail_json(msg=f"Could not converge workspace {name!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
