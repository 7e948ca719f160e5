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

if t.TYPE_CHECKING:
    from module_utils.container_engine import Engine, EngineError
    from module_utils.quiet_module import QuietModule as AnsibleModule
    from module_utils.workspace_host import Folders, PortMap, is_port_free, one_at_a_time
    from module_utils.workspace_keeper import Workspaces
    from module_utils.workspace_state import WorkspaceError, container_name
else:
    from ansible.module_utils.container_engine import Engine, EngineError
    from ansible.module_utils.quiet_module import QuietModule as AnsibleModule
    from ansible.module_utils.workspace_host import Folders, PortMap, is_port_free, one_at_a_time
    from ansible.module_utils.workspace_keeper import Workspaces
    from ansible.module_utils.workspace_state import WorkspaceError, container_name

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


def main() -> None:
    module = AnsibleModule(  # type: ignore[no-untyped-call]
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True
    )
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
