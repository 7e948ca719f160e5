#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deploy_job
short_description: Create a job in Deploy and, if asked, wait for its end
description:
  - Creates one job that brings an app to an image.
  - A job is an event, not a state. With O(key) the same task creates it once, however often it is
    run; without, each run creates a job. For a state to keep, use M(deployed_app).
author:
  - Platform team
attributes:
  check_mode:
    description: Says whether a job would be created and creates none.
    support: full
  diff_mode:
    description: Returns the job's payload as it would be sent.
    support: full
  idempotent:
    description: With O(key), as long as the app's newest 200 jobs hold the one it made.
    support: partial
options:
  app_id:
    description: Id of the app.
    type: str
    required: true
  image:
    description: Reference of the image to run, for example C(registry.example/team/app:1).
    type: str
    required: true
  user_id:
    description: Id of the user who owns the app. Left out, Deploy takes its default.
    type: int
  container_port:
    description: Port the app listens on inside its container. Left out, Deploy takes V(3000).
    type: int
  payload:
    description: More of the job's payload, keys as on the wire; the other options win.
    type: dict
    default: {}
  supersede:
    description:
      - Whether the new job takes the place of one of the same app that has not ended.
      - Without, Deploy refuses while the app has such a job.
    type: bool
    default: false
  key:
    description:
      - Name of this request, chosen by the caller, sent as C(Idempotency-Key). A key that Deploy knows
        gives its job again. The same key with another payload is refused.
    type: str
  wait:
    description: Whether to wait until the job has ended, and fail where it did not succeed.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for the job's end.
    type: int
    default: 300
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
- name: Deploy an image once for this release
  deploy_job:
    app_id: "20002"
    image: registry.example/team/app:1
    container_port: 8080
    key: release-2026-01-01
    wait: true
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"
"""

RETURN = r"""
job:
  description:
    - The job as Deploy last showed it, keys as on the wire.
    - Null in check mode where one would be created.
  returned: success
  type: dict
  sample:
    id: 4a52f6c1-7f0e-4a0c-9e0e-0b8d7d1c1d11
    type: BUILD_AND_DEPLOY
    status: SUCCEEDED
    deployUrl: "http://192.0.2.21/apps/20002/"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.deploy_client import (
        DeployClient,
        DeployError,
        JSONObject,
        deploy_argument_spec,
        payload_of,
        succeeded,
    )
else:
    from ansible.module_utils.deploy_client import (
        DeployClient,
        DeployError,
        deploy_argument_spec,
        payload_of,
        succeeded,
    )

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "app_id": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "user_id": {"type": "int"},
    "container_port": {"type": "int"},
    "payload": {"type": "dict", "default": {}},
    "supersede": {"type": "bool", "default": False},
    "key": {"type": "str", "no_log": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 300},
}


class Jobs(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest jobs, newest first."""

    def create_job(self, job: JSONObject, key: str | None) -> JSONObject:
        """Create a job, or return the one that the key names."""

    def wait_for_job(self, job_id: str, timeout: float) -> JSONObject:
        """Return the job once it has ended."""


def desired_job(params: dict[str, t.Any]) -> JSONObject:
    """Return the body of the request that creates the job."""
    body: JSONObject = {"type": "BUILD_AND_DEPLOY", "payload": payload_of(params)}
    return {**body, "supersede": True} if params["supersede"] else body


def find_job(key: str | None, jobs: list[JSONObject]) -> JSONObject | None:
    """Return the job that the key made; None where it made none, or there is no key."""
    if key is None:
        return None
    return next((job for job in jobs if job.get("idempotencyKey") == key), None)


def converge(deploy: Jobs, params: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Create the job where it is not there yet and return the module's result.

    :raises DeployError: where Deploy refuses, or the job that was waited for did not succeed
    """
    desired = desired_job(params)
    job = find_job(params["key"], deploy.list_app_jobs(params["app_id"]))
    changed = job is None
    if job is None and not check_mode:
        job = deploy.create_job(desired, params["key"])
    if job is not None and params["wait"]:
        job = succeeded(deploy.wait_for_job(job["id"], params["wait_timeout"]))
    after = desired if changed else {}
    return {"changed": changed, "job": job, "diff": {"before": {}, "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENT_SPEC, **deploy_argument_spec("deploy_secret")},
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], secret=params["deploy_secret"], timeout=params["deploy_timeout"]
    )
    try:
        result = converge(client, params, check_mode=module.check_mode)
    except DeployError as exc:
        module.fail_json(msg=f"Could not deploy {params['image']!r} to {params['app_id']!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
