#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: runtime_node_info
short_description: Read the runtime nodes' records and placements from Deploy
description:
  - Reads only; see M(runtime_node) for changes.
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
  name:
    description: Name of the node to read. Left out, every node's record is read and no placements.
    type: str
  deploy_url:
    description: Base URL of the Deploy API.
    type: str
    required: true
  admin_token:
    description: Token of Deploy's operators, shown as C(X-Admin-Token).
    type: str
    required: true
  deploy_timeout:
    description: Seconds to wait for one answer.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Wait until the node is empty
  runtime_node_info:
    name: runtime-01
    deploy_url: http://192.0.2.10:7002
    admin_token: "{{ vault_admin_token }}"
  register: node_now
  until: node_now['placements'] | length == 0
  retries: 60
  delay: 5

- name: Read every node
  runtime_node_info:
    deploy_url: http://192.0.2.10:7002
    admin_token: "{{ vault_admin_token }}"
"""

RETURN = r"""
nodes:
  description: The records asked for; empty where Deploy knows no such node.
  returned: success
  type: list
  elements: dict
  sample:
    - node_id: 1
      name: runtime-01
      agent_base_url: "http://192.0.2.21:7005"
      gateway_base_url: "http://192.0.2.21"
      weight: 100
      enabled: true
      health: HEALTHY
      last_heartbeat_at: "2026-01-01T00:00:00Z"
      disk_free_pct: 62.5
      container_count: 4
placements:
  description: Ids of the apps placed on the node O(name), sorted.
  returned: when O(name) is given
  type: list
  elements: str
  sample: [app-17, app-23]
"""

import typing as t
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.deploy_client import (
        DeployClient,
        DeployError,
        NodeRecord,
        deploy_argument_spec,
    )
else:
    from ansible.module_utils.deploy_client import DeployClient, DeployError, deploy_argument_spec


class NodeReader(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def list_nodes(self) -> list[NodeRecord]:
        """Return every node's record."""

    def get_placements(self, node_id: int) -> list[str]:
        """Return the ids of the apps placed on the node, sorted."""


def render(record: NodeRecord) -> dict[str, t.Any]:
    """Return the record as one flat dictionary."""
    flat = asdict(record)
    return {"node_id": flat.pop("node_id"), **flat.pop("node"), **flat}


def read(deploy: NodeReader, name: str | None) -> dict[str, t.Any]:
    """Return the module's result.

    :raises DeployError: where Deploy refuses or does not answer
    """
    records = deploy.list_nodes()
    if name is None:
        return {"changed": False, "nodes": [render(record) for record in records]}
    named = [record for record in records if record.node.name == name]
    placements = deploy.get_placements(named[0].node_id) if named else []
    return {
        "changed": False,
        "nodes": [render(record) for record in named],
        "placements": placements,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str"}, **deploy_argument_spec("admin_token")},
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], admin_token=params["admin_token"], timeout=params["deploy_timeout"]
    )
    try:
        result = read(client, params["name"])
    except DeployError as exc:
        what = f"runtime node {params['name']!r}" if params["name"] else "the runtime nodes"
        module.fail_json(msg=f"Could not read {what}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
