#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deploy_job_info
short_description: Read jobs and their events from Deploy
description:
  - Reads one job with its events, or the newest jobs of one app.
  - Reads only; see M(deploy_job) for creating one.
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
  job_id:
    description: Id of the job to read, its events included. Exclusive with O(app_id).
    type: str
  app_id:
    description: Id of the app whose newest jobs are read. Exclusive with O(job_id).
    type: str
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
- name: Read what an app's deploys came to
  deploy_job_info:
    app_id: "20002"
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"
"""

RETURN = r"""
jobs:
  description:
    - The job asked for, or the app's newest 200 jobs, newest first.
    - Empty where Deploy knows no such job or app. Keys are those of the wire.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 4a52f6c1-7f0e-4a0c-9e0e-0b8d7d1c1d11
      type: BUILD_AND_DEPLOY
      status: SUCCEEDED
      payload: {appId: "20002", image: "registry.example/team/app:1"}
      deployUrl: "http://192.0.2.21/apps/20002/"
events:
  description: What happened to the job O(job_id), oldest first.
  returned: when O(job_id) is given
  type: list
  elements: dict
  sample:
    - {seq: 1, at: "2026-01-01T00:00:00Z", actor: api, fromStatus: null, toStatus: PENDING}
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


class JobReader(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def get_job(self, job_id: str) -> JSONObject | None:
        """Return the job, or None where Deploy knows no such job."""

    def get_job_events(self, job_id: str) -> list[JSONObject]:
        """Return what happened to the job, oldest first."""

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest jobs, newest first."""


def read(deploy: JobReader, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the module's result.

    :raises DeployError: where Deploy refuses or does not answer
    """
    if params["app_id"] is not None:
        return {"changed": False, "jobs": deploy.list_app_jobs(params["app_id"])}
    job = deploy.get_job(params["job_id"])
    events = deploy.get_job_events(params["job_id"]) if job else []
    return {"changed": False, "jobs": [job] if job else [], "events": events}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "job_id": {"type": "str"},
            "app_id": {"type": "str"},
            **deploy_argument_spec("deploy_secret"),
        },
        mutually_exclusive=[("job_id", "app_id")],
        required_one_of=[("job_id", "app_id")],
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], secret=params["deploy_secret"], timeout=params["deploy_timeout"]
    )
    try:
        result = read(client, params)
    except DeployError as exc:
        job, app = params["job_id"], params["app_id"]
        what = f"job {job!r}" if job else f"the jobs of app {app!r}"
        module.fail_json(msg=f"Could not read {what}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
