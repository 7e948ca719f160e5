"""Brings one workspace to what is declared: looks, decides once, acts.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from module_utils.workspace_host import Folders, PortMap
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
