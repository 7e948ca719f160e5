#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_container_info
short_description: Read the development containers of a host and their ports
description:
  - Reads only; see M(workspace_container) for changes.
  - Lists also containers C(ws-u-{user_id}) that others made, with RV(workspaces[].managed) false.
author:
  - Platform team
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
  diff_mode:
    description: There is no change to show.
    support: N/A
  idempotent:
    description: Changes nothing.
    support: full
options:
  user_id:
    description: Number of the user whose workspace is read. Left out, all are.
    type: int
  ports_dir:
    description: Folder of the maps that nginx includes. Empty reads none.
    type: str
    default: /etc/nginx/funai-workspaces
  engine_socket:
    description: Socket of the container engine (Docker, or Podman's compatible one).
    type: path
    default: /var/run/docker.sock
"""

EXAMPLES = r"""
- name: Look at every workspace of the host
  workspace_container_info:
    ports_dir: /etc/nginx/funai-workspaces
  register: workspaces_now

- name: Look at one
  workspace_container_info:
    user_id: 7
"""

RETURN = r"""
workspaces:
  description:
    - The containers asked for, by user; their environment is left out.
    - RV(workspaces[].gateway_port) is the port that the preview gateway asks, null where it knows none.
  returned: success
  type: list
  elements: dict
  sample:
    - user_id: 7
      name: ws-u-7
      managed: true
      state: started
      image: registry.example/team/dev:1
      host_port: 20000
      container_port: 5173
      memory_mib: 1024
      cpus: 1.0
      folder: /data/funai/workspaces/7
      gateway_port: 20000
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.container_engine import Engine, EngineError
    from module_utils.workspace_host import PortMap
    from module_utils.workspace_state import JSONObject, read_workspace, shown
else:
    from ansible.module_utils.container_engine import Engine, EngineError
    from ansible.module_utils.workspace_host import PortMap
    from ansible.module_utils.workspace_state import read_workspace, shown

_NAME = re.compile(r"/?ws-u-(?P<user>[0-9]+)")
_SHOWN = ("image", "host_port", "container_port", "memory_mib", "cpus", "folder")


class ContainerReader(t.Protocol):
    """What the module needs of the engine; the tests pass a fake."""

    def containers(self) -> list[JSONObject]:
        """Return every container."""

    def image(self, reference: str) -> JSONObject | None:
        """Return what the engine knows of an image that is on the host, or None."""


def read(engine: ContainerReader, ports: PortMap, user_id: int | None) -> JSONObject:
    """Return the module's result.

    :raises EngineError: where the engine refuses or does not answer
    """
    gateway_ports = {line.user_id: line.port for line in ports.lines()}
    workspaces = []
    for container in engine.containers():
        match = _NAME.fullmatch(str(container["Name"]))
        if match and user_id in {None, int(match["user"])}:
            owner = int(match["user"])
            row = render(container, engine.image(container["Image"]), owner)
            workspaces.append({**row, "gateway_port": gateway_ports.get(owner)})
    return {"changed": False, "workspaces": sorted(workspaces, key=lambda row: row["user_id"])}


def render(container: JSONObject, image: JSONObject | None, owner: int) -> JSONObject:
    """Return one container for people."""
    workspace = read_workspace(container, image, owner)
    said = shown(workspace, running=bool(container["State"]["Running"]), port_map="")
    return {
        "user_id": owner,
        "name": str(container["Name"]).lstrip("/"),
        "managed": workspace.labelled,
        "state": said["state"],
        **{key: said[key] for key in _SHOWN},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "user_id": {"type": "int"},
            "ports_dir": {"type": "str", "default": "/etc/nginx/funai-workspaces"},
            "engine_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        engine, ports = Engine(params["engine_socket"]), PortMap(params["ports_dir"])
        result = read(engine, ports, params["user_id"])
    except (EngineError, OSError) as exc:
        module.fail_json(msg=f"Could not read the workspaces: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
