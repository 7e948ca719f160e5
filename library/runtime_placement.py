#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: runtime_placement
short_description: Place an app on a runtime node
description:
  - Declares on which node Deploy puts the app with its next deploy.
  - Moves the placement only. The app goes on running where it runs until it is deployed again;
    C(playbooks/ops/drain_runtime.yml) does both.
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the change and writes nothing.
    support: full
  diff_mode:
    description: Returns the node before and after; before is null where it is another than O(node).
    support: partial
  idempotent:
    description: The second run with the same options changes nothing.
    support: full
options:
  app_id:
    description: Id of the app.
    type: str
    required: true
  node:
    description: Name of the node in Deploy.
    type: str
    required: true
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
- name: Place an app on the second node
  runtime_placement:
    app_id: "20002"
    node: runtime-02
    deploy_url: http://192.0.2.10:7002
    admin_token: "{{ vault_admin_token }}"
"""

RETURN = r"""
placement:
  description: The placement as it is after the run, or as it would be in check mode.
  returned: success
  type: dict
  sample: {app_id: "20002", node: runtime-02}
"""

import typing as t

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


class Placements(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def list_nodes(self) -> list[NodeRecord]:
        """Return the nodes that Deploy knows."""

    def get_placements(self, node_id: int) -> list[str]:
        """Return the ids of the apps placed on the node."""

    def place_app(self, app_id: str, node_id: int) -> None:
        """Place the app on the node."""


def converge(deploy: Placements, params: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Bring the app's placement to the node and return the module's result.

    :raises DeployError: where Deploy refuses, or knows no such node
    """
    app_id, name = params["app_id"], params["node"]
    nodes = {record.node.name: record.node_id for record in deploy.list_nodes()}
    if name not in nodes:
        msg = f"Deploy knows no node {name!r}"
        raise DeployError(msg)
    homes = (node for node, number in nodes.items() if app_id in deploy.get_placements(number))
    home = next(homes, None)
    changed = home != name
    if changed and not check_mode:
        deploy.place_app(app_id, nodes[name])
    before, after = {"app_id": app_id, "node": home}, {"app_id": app_id, "node": name}
    return {"changed": changed, "placement": after, "diff": {"before": before, "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "app_id": {"type": "str", "required": True},
            "node": {"type": "str", "required": True},
            **deploy_argument_spec("admin_token"),
        },
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], admin_token=params["admin_token"], timeout=params["deploy_timeout"]
    )
    try:
        result = converge(client, params, check_mode=module.check_mode)
    except DeployError as exc:
        module.fail_json(msg=f"Could not place {params['app_id']!r} on {params['node']!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
