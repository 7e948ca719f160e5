#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deployed_app_info
short_description: Read what runs of an app, why, and its revisions
description:
  - Reads an app and the revisions that it can go back to or could once.
  - Reads only; see M(deployed_app) for deploying, rolling back, stopping and removing.
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
  app_id:
    description: Id of the app.
    type: str
    required: true
  deploy_url:
    description: Base URL of the Deploy API.
    type: str
    required: true
  deploy_secret:
    description: Credential of Deploy's callers, shown as C(X-DEPLOY-SECRET).
    type: str
    required: true
  deploy_timeout:
    description: Seconds to wait for one answer.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Read what runs of an app
  deployed_app_info:
    app_id: "20002"
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"
"""

RETURN = r"""
app:
  description:
    - What runs of the app and why, keys as on the wire; null where Deploy knows no such app.
  returned: success
  type: dict
  sample:
    appId: "20002"
    state: RUNNING
    reason: "revision 3 runs since 2026-01-01T00:00:00Z: deployed by job 4a52f6c1"
    revision: {number: 3, release: r3-0123456789ab, commit: 0123456789abcdef0123456789abcdef01234567}
revisions:
  description:
    - The app's newest 200 revisions, newest first, keys as on the wire.
    - Empty where the app was not deployed since revisions are kept.
  returned: success
  type: list
  elements: dict
  sample:
    - {number: 3, state: ACTIVE, release: r3-0123456789ab, image: "registry.example/u1-app20002:0123456789ab"}
    - {number: 2, state: SUPERSEDED, release: r2-89abcdef0123, image: "registry.example/u1-app20002:89abcdef0123"}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.deploy_client import (
        DeployClient,
        DeployError,
        JSONObject,
        deploy_argument_spec,
    )
else:
    from ansible.module_utils.deploy_client import DeployClient, DeployError, deploy_argument_spec


class AppReader(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def app(self, app_id: str) -> JSONObject | None:
        """Return what runs of the app, or None for an unknown one."""

    def revisions(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest revisions, newest first."""


def read(deploy: AppReader, app_id: str) -> dict[str, t.Any]:
    """Return the module's result.

    :raises DeployError: where Deploy refuses or does not answer
    """
    return {"changed": False, "app": deploy.app(app_id), "revisions": deploy.revisions(app_id)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "app_id": {"type": "str", "required": True},
            **deploy_argument_spec("deploy_secret"),
        },
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], secret=params["deploy_secret"], timeout=params["deploy_timeout"]
    )
    try:
        result = read(client, params["app_id"])
    except DeployError as exc:
        module.fail_json(msg=f"Could not read app {params['app_id']!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
