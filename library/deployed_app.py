#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deployed_app
short_description: Keep an app deployed, stopped or absent
description:
  - Compares what an app runs with what is declared and acts on the difference only.
  - What it runs is the payload of its newest job that succeeded, unless it was stopped since.
    A tag that was pushed again under the same name is not seen; declare a digest for that.
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the change and writes nothing.
    support: full
  diff_mode:
    description: Returns the image, the port and the state before and after.
    support: full
  idempotent:
    description: The second run with the same options changes nothing.
    support: full
options:
  app_id:
    description: Id of the app.
    type: str
    required: true
  state:
    description:
      - V(present) deploys the image where the app runs another or none, and waits for the job's end.
      - V(stopped) stops the container and keeps image, records and placement.
      - V(absent) removes containers, images and records.
    type: str
    choices: [present, stopped, absent]
    default: present
  image:
    description: Reference of the image to run. Required when O(state=present).
    type: str
  user_id:
    description: Id of the user who owns the app.
    type: int
    default: 1
  container_port:
    description:
      - Port the app listens on inside its container.
      - Left out, a deployed app keeps its port and a new one gets Deploy's default, V(3000).
    type: int
  payload:
    description: More of the job's payload, keys as on the wire; the other options win.
    type: dict
    default: {}
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
    description: Seconds to wait for one answer. Removing an app can take Deploy 8 seconds.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Keep an app at one image
  deployed_app:
    app_id: "20002"
    image: registry.example/team/app:1
    container_port: 8080
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"

- name: Remove it
  deployed_app:
    app_id: "20002"
    state: absent
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"
"""

RETURN = r"""
app:
  description: What the app is after the run, or would be in check mode.
  returned: success
  type: dict
  sample: {state: present, image: "registry.example/team/app:1", container_port: 8080}
job:
  description: The job that brought the app there, keys as on the wire; null where none was needed.
  returned: success
  type: dict
  sample: {id: 4a52f6c1-7f0e-4a0c-9e0e-0b8d7d1c1d11, status: SUCCEEDED}
"""

import typing as t
from dataclasses import asdict, dataclass, replace

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.deploy_client import (
        ENDED,
        DeployClient,
        DeployError,
        JSONObject,
        deploy_argument_spec,
        payload_of,
        succeeded,
    )
else:
    from ansible.module_utils.deploy_client import (
        ENDED,
        DeployClient,
        DeployError,
        deploy_argument_spec,
        payload_of,
        succeeded,
    )

#: Deploy's port where a payload names none (docs/contract.md, section 4).
DEFAULT_PORT = 3000
ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "app_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "stopped", "absent"], "default": "present"},
    "image": {"type": "str"},
    "user_id": {"type": "int", "default": 1},
    "container_port": {"type": "int"},
    "payload": {"type": "dict", "default": {}},
    "wait_timeout": {"type": "int", "default": 300},
}


class Apps(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest jobs, newest first."""

    def is_stopped(self, app_id: str) -> bool:
        """Return whether the app was stopped after its last job."""

    def create_job(self, job: JSONObject, key: str | None) -> JSONObject:
        """Create a job."""

    def wait_for_job(self, job_id: str, timeout: float) -> JSONObject:
        """Return the job once it has ended."""

    def stop_app(self, app_id: str, user_id: int) -> JSONObject:
        """Stop the app's container and keep its records."""

    def clean_up_app(self, app_id: str, user_id: int) -> JSONObject:
        """Remove the app's containers, images and records."""


@dataclass(frozen=True)
class App:
    """What an app is, as far as this module declares it."""

    #: ``registered`` is an app with jobs of which none succeeded; nobody declares that.
    state: t.Literal["present", "stopped", "absent", "registered"]
    image: str | None = None
    container_port: int | None = None


def read_app(payload: JSONObject, *, stopped: bool = False) -> App:
    """Return the app that a job's payload makes."""
    port = int(payload.get("containerPort") or DEFAULT_PORT)
    return App("stopped" if stopped else "present", str(payload.get("image") or "") or None, port)


def current_app(jobs: list[JSONObject], *, stopped: bool) -> App:
    """Return what the app is.

    :param jobs: the app's jobs, newest first
    """
    if not jobs:
        return App("absent")
    for job in jobs:
        if job["status"] == "SUCCEEDED":
            return read_app(job["payload"], stopped=stopped)
    return App("registered")


def desired_app(params: dict[str, t.Any], current: App) -> App:
    """Return what the options ask for."""
    if params["state"] == "absent":
        return App("absent")
    if params["state"] == "stopped":
        # Where nothing runs there is nothing to stop.
        return replace(current, state="stopped") if current.state == "present" else current
    port = params["container_port"] or current.container_port or DEFAULT_PORT
    return App("present", params["image"], port)


def unended_job(jobs: list[JSONObject]) -> JSONObject | None:
    """Return the newest job that has not ended."""
    return next((job for job in jobs if job["status"] not in ENDED), None)


def deploy_app(
    deploy: Apps, params: dict[str, t.Any], desired: App, unended: JSONObject | None
) -> JSONObject:
    """Bring the app to the desired image; return the job that did."""
    if unended is None or read_app(unended["payload"]) != desired:
        payload = payload_of({**params, "container_port": desired.container_port})
        # What is declared takes the place of a job that would bring something else.
        job = {"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True}
        unended = deploy.create_job(job, None)
    return succeeded(deploy.wait_for_job(unended["id"], params["wait_timeout"]))


def act(
    deploy: Apps, params: dict[str, t.Any], desired: App, unended: JSONObject | None
) -> JSONObject | None:
    """Bring the app to what is desired; return the job that did, where one was needed.

    :raises DeployError: where Deploy or the agent could not do it
    """
    if desired.state == "present":
        return deploy_app(deploy, params, desired, unended)
    if desired.state == "stopped":
        deploy.stop_app(params["app_id"], params["user_id"])
        return None
    removed = deploy.clean_up_app(params["app_id"], params["user_id"])
    runtime = removed.get("runtime") or {}
    if not (runtime.get("success") or runtime.get("skipped")):
        # Clean-up answers 200 whatever the node said (docs/contract.md, section 3).
        msg = (
            f"its records are gone, but its node still has it: {runtime.get('error')}."
            f" {runtime.get('reason') or ''}"
        )
        raise DeployError(msg)
    return None


def converge(deploy: Apps, params: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Bring the app to what is declared and return the module's result.

    :raises DeployError: where Deploy refuses, or the job did not succeed
    """
    jobs = deploy.list_app_jobs(params["app_id"])
    current = current_app(jobs, stopped=bool(jobs) and deploy.is_stopped(params["app_id"]))
    desired = desired_app(params, current)
    unended = unended_job(jobs)
    # A job under way that brings something else would undo what is declared.
    undone = unended is not None and read_app(unended["payload"]) != desired
    changed = current != desired or (desired.state == "present" and undone)
    job = None
    if changed and not check_mode:
        job = act(deploy, params, desired, unended)
    diff = {"before": asdict(current), "after": asdict(desired)}
    return {"changed": changed, "app": asdict(desired), "job": job, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENT_SPEC, **deploy_argument_spec("deploy_secret")},
        required_if=[("state", "present", ["image"])],
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], secret=params["deploy_secret"], timeout=params["deploy_timeout"]
    )
    try:
        result = converge(client, params, check_mode=module.check_mode)
    except DeployError as exc:
        module.fail_json(msg=f"Could not make app {params['app_id']!r} {params['state']}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
