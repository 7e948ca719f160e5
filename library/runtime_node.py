#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: runtime_node
short_description: Register, change, enable and disable runtime nodes in Deploy
description:
  - Keeps one node record in the Deploy control plane as declared.
  - Deploy has no way to remove a node's record. A node that is gone is disabled
    (O(enabled=false)) and shows as stale.
  - Declares only. Moving apps off a node is the work of C(playbooks/ops/drain_runtime.yml).
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the change and writes nothing.
    support: full
  diff_mode:
    description: Returns the record before and after.
    support: full
  idempotent:
    description: The second run with the same options changes nothing.
    support: full
options:
  name:
    description: Name of the node, unique in Deploy. The node's agent reports under the same name.
    type: str
    required: true
  state:
    description: V(present) creates the record or brings it to the given options.
    type: str
    choices: [present]
    default: present
  agent_base_url:
    description:
      - URL of the node's runtime agent, as the runners and Deploy reach it.
      - Left out, an existing node keeps its own; a new node needs one.
    type: str
  gateway_base_url:
    description:
      - URL of the node's gateway, as the edge reaches it.
      - Left out, an existing node keeps its own; a new node needs one.
    type: str
  weight:
    description:
      - Share of placements relative to the other nodes, unitless.
      - Left out, an existing node keeps its weight and a new one gets V(100).
    type: int
  enabled:
    description:
      - Whether Deploy may place apps here. Apps that run there go on either way.
      - Left out, an existing node keeps what an operator gave it and a new one is enabled.
    type: bool
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
- name: Register a node
  runtime_node:
    name: runtime-01
    agent_base_url: http://192.0.2.21:7005
    gateway_base_url: http://192.0.2.21
    deploy_url: http://192.0.2.10:7002
    admin_token: "{{ vault_admin_token }}"

- name: Let no new app in before maintenance
  runtime_node:
    name: runtime-01
    enabled: false
    deploy_url: http://192.0.2.10:7002
    admin_token: "{{ vault_admin_token }}"
"""

RETURN = r"""
node:
  description: The record as it is after the run, or as it would be in check mode.
  returned: success
  type: dict
  sample:
    name: runtime-01
    agent_base_url: "http://192.0.2.21:7005"
    gateway_base_url: "http://192.0.2.21"
    weight: 100
    enabled: true
"""

import typing as t
from dataclasses import asdict, replace

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.deploy_client import (
        DeployClient,
        DeployError,
        Node,
        NodeRecord,
        bare_url,
        deploy_argument_spec,
    )
else:
    from ansible.module_utils.deploy_client import (
        DeployClient,
        DeployError,
        Node,
        bare_url,
        deploy_argument_spec,
    )

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present"], "default": "present"},
    "agent_base_url": {"type": "str"},
    "gateway_base_url": {"type": "str"},
    "weight": {"type": "int"},
    "enabled": {"type": "bool"},
}
URLS = ("agent_base_url", "gateway_base_url")


class NodeRecords(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def get_node(self, name: str) -> NodeRecord | None:
        """Return the node's record, or None where Deploy knows no such node."""

    def put_node(self, node: Node) -> None:
        """Create the record or bring it to the given values."""


def desired_node(params: dict[str, t.Any], current: Node | None) -> Node:
    """Return the record the options ask for.

    :raises DeployError: where a new node's URLs are missing
    """
    given: dict[str, t.Any] = {
        key: bare_url(params[key]) for key in URLS if params[key] is not None
    }
    given |= {key: params[key] for key in ("weight", "enabled") if params[key] is not None}
    if current is not None:
        return replace(current, **given)
    missing = [key for key in URLS if key not in given]
    if missing:
        msg = f"Deploy does not know it yet, and a new node needs {' and '.join(missing)}"
        raise DeployError(msg)
    return Node(name=params["name"], **given)


def converge(
    records: NodeRecords, params: dict[str, t.Any], *, check_mode: bool
) -> dict[str, t.Any]:
    """Bring Deploy's record to the desired one and return the module's result.

    :raises DeployError: where Deploy refuses or does not answer
    """
    record = records.get_node(params["name"])
    current = record.node if record else None
    desired = desired_node(params, current)
    changed = current != desired
    if changed and not check_mode:
        records.put_node(desired)
    before = asdict(current) if current else {}
    after = asdict(desired)
    return {"changed": changed, "node": after, "diff": {"before": before, "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENT_SPEC, **deploy_argument_spec("admin_token")},
        supports_check_mode=True,
    )
    params = {**module.params, "name": module.params["name"].strip()}
    client = DeployClient(
        params["deploy_url"],
        admin_token=params["admin_token"],
        timeout=params["deploy_timeout"],
    )
    try:
        result = converge(client, params, check_mode=module.check_mode)
    except DeployError as exc:
        module.fail_json(msg=f"Could not converge runtime node {params['name']!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
