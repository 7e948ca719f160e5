#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deployed_app
short_description: Keep an app deployed, rolled back, stopped or absent
description:
  - Compares what an app runs with what is declared and acts on the difference only.
  - What it runs is its ACTIVE revision, unless it was stopped since.
    An app that was deployed before revisions were kept runs what its newest success asked for.
  - A tag of O(image) that was pushed again is not seen; declare a digest for that.
    A branch or tag in O(commit) is compared by its name only, so that commits that were pushed to it
    since are not seen; declare a SHA, or set O(rebuild).
  - Options of a build are compared with the job that made the revision, as long as that is among
    the app's newest 200. What is left out is not compared.
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
    description:
      - The second run with the same options changes nothing, except with O(rebuild) or O(redeploy).
    support: partial
options:
  app_id:
    description: Id of the app.
    type: str
    required: true
  state:
    description:
      - V(present) deploys the image, or builds the commit and deploys it, where the app runs another
        or none, and waits for the job's end.
      - V(rolled_back) goes back to O(revision) without a build, and waits for the job's end.
      - V(stopped) stops the container and keeps image, records and placement.
      - V(absent) removes containers, images and records.
    type: str
    choices: [present, rolled_back, stopped, absent]
    default: present
  image:
    description: Reference of the image to run. O(state=present) needs it or O(repo_url).
    type: str
  repo_url:
    description: Address of the git repository to build from. Needs O(commit); excludes O(image).
    type: str
  commit:
    description: SHA, branch or tag to build; a branch or tag is compared by name only.
    type: str
  dockerfile_path:
    description: The Dockerfile's path in the repository.
    type: str
  build_context:
    description: Folder of the repository that is built from.
    type: str
  build_args:
    description: Arguments of the build. They end up in the image's history; no secrets.
    type: dict
  health_path:
    description: Path below the app's base that answers once the app is ready.
    type: str
  rebuild:
    description: Build and deploy in every run, also where commit or image are there already.
    type: bool
    default: false
  revision:
    description: Number of the revision to go back to. Required when O(state=rolled_back).
    type: int
  reason:
    description: Why it is rolled back; kept with the revision.
    type: str
  redeploy:
    description:
      - Deploy O(revision) in every run, also where it runs already, as after the app was placed on
        another node.
    type: bool
    default: false
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

- name: Keep an app at a commit
  deployed_app:
    app_id: "20002"
    repo_url: https://git.example/team/app.git
    commit: 0123456789abcdef0123456789abcdef01234567
    container_port: 8080
    deploy_url: http://192.0.2.10:7002
    deploy_secret: "{{ vault_deploy_secret }}"

- name: Go back to a revision
  deployed_app:
    app_id: "20002"
    state: rolled_back
    revision: 3
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
  sample: {state: present, image: "registry.example/team/app:1", container_port: 8080, revision: 3}
job:
  description:
    - The job that brought the app there, keys as on the wire; null where none was needed.
    - Of a failure the job that failed.
  returned: success, and where a job failed
  type: dict
  sample: {id: 4a52f6c1-7f0e-4a0c-9e0e-0b8d7d1c1d11, status: SUCCEEDED}
log:
  description: The last lines of the log of the job that failed, oldest first.
  returned: where a job failed
  type: list
  elements: str
  sample: ["BUILD Step 3/7 RUN make", "BUILD make: *** No targets specified."]
"""

import typing as t
from dataclasses import asdict, replace

from ansible.module_utils.basic import AnsibleModule

if t.TYPE_CHECKING:
    from module_utils.app_state import (
        App,
        brings,
        current_app,
        desired_app,
        is_anew,
        is_changed,
        job_payload,
        unended_job,
    )
    from module_utils.deploy_client import (
        DeployClient,
        DeployError,
        JobFailedError,
        JSONObject,
        deploy_argument_spec,
        succeeded,
    )
else:
    from ansible.module_utils.app_state import (
        App,
        brings,
        current_app,
        desired_app,
        is_anew,
        is_changed,
        job_payload,
        unended_job,
    )
    from ansible.module_utils.deploy_client import (
        DeployClient,
        DeployError,
        JobFailedError,
        deploy_argument_spec,
        succeeded,
    )

#: Lines of a failed job's log that are shown.
LOG_LINES = 20
ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "app_id": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["present", "rolled_back", "stopped", "absent"],
        "default": "present",
    },
    "image": {"type": "str"},
    "repo_url": {"type": "str"},
    "commit": {"type": "str"},
    "dockerfile_path": {"type": "str"},
    "build_context": {"type": "str"},
    "build_args": {"type": "dict"},
    "health_path": {"type": "str"},
    "rebuild": {"type": "bool", "default": False},
    "revision": {"type": "int"},
    "reason": {"type": "str"},
    "redeploy": {"type": "bool", "default": False},
    "user_id": {"type": "int", "default": 1},
    "container_port": {"type": "int"},
    "payload": {"type": "dict", "default": {}},
    "wait_timeout": {"type": "int", "default": 300},
}


class Apps(t.Protocol):
    """What the module needs of Deploy; the tests pass a fake."""

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest jobs, newest first."""

    def app(self, app_id: str) -> JSONObject | None:
        """Return what runs of the app, or None for an unknown one."""

    def revisions(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest revisions, newest first."""

    def rollback_app(self, app_id: str, revision: int, reason: str | None = None) -> JSONObject:
        """Create the job that brings the app back to a revision."""

    def create_job(self, job: JSONObject, key: str | None) -> JSONObject:
        """Create a job."""

    def wait_for_job(self, job_id: str, timeout: float) -> JSONObject:
        """Return the job once it has ended."""

    def stop_app(self, app_id: str, user_id: int) -> JSONObject:
        """Stop the app's container and keep its records."""

    def clean_up_app(self, app_id: str, user_id: int) -> JSONObject:
        """Remove the app's containers, images and records."""


def run_job(
    deploy: Apps, params: dict[str, t.Any], desired: App, unended: JSONObject | None
) -> JSONObject:
    """Bring the app to the desired image, commit or revision; return the job that did."""
    if unended is not None and brings(unended, desired) and not is_anew(params):
        job = unended
    elif desired.revision is not None:
        job = deploy.rollback_app(params["app_id"], desired.revision, params["reason"])
    else:
        payload = job_payload(params, desired.container_port)
        # What is declared takes the place of a job that would bring something else.
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True}
        job = deploy.create_job(body, None)
    return succeeded(deploy.wait_for_job(job["id"], params["wait_timeout"]))


def act(
    deploy: Apps, params: dict[str, t.Any], desired: App, unended: JSONObject | None
) -> JSONObject | None:
    """Bring the app to what is desired; return the job that did, where one was needed.

    :raises DeployError: where Deploy or the agent could not do it
    """
    if desired.state == "present":
        return run_job(deploy, params, desired, unended)
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
    app_id = params["app_id"]
    jobs, revisions, run = (
        deploy.list_app_jobs(app_id),
        deploy.revisions(app_id),
        deploy.app(app_id),
    )
    stopped = run is not None and run["lastJobStatus"] == "STOPPED"
    current = current_app(jobs, revisions, stopped=stopped)
    desired = desired_app(params, current, revisions)
    unended = unended_job(jobs)
    changed = is_changed(current, desired, unended, params)
    job = None
    if changed and not check_mode:
        job = act(deploy, params, desired, unended)
    after = desired if changed else current
    if job is not None:
        after = replace(after, revision=job.get("revision"))
    diff = {"before": asdict(current), "after": asdict(after)}
    return {"changed": changed, "app": asdict(after), "job": job, "diff": diff}


def failure(deploy: DeployClient, exc: DeployError) -> dict[str, t.Any]:
    """Return what is known of a failure beside its reason."""
    if not isinstance(exc, JobFailedError):
        return {}
    try:
        lines = deploy.job_log(exc.job["id"], LOG_LINES)
    except DeployError as unread:
        # The job's own reason is what matters; it is told either way.
        return {"job": exc.job, "log": [f"could not be read: {unread}"]}
    return {"job": exc.job, "log": [f"{line['phase']} {line['text']}".strip() for line in lines]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENT_SPEC, **deploy_argument_spec("deploy_secret")},
        required_if=[
            ("state", "present", ["image", "repo_url"], True),
            ("state", "rolled_back", ["revision"]),
        ],
        required_together=[("repo_url", "commit")],
        mutually_exclusive=[("image", "repo_url")],
        supports_check_mode=True,
    )
    params = module.params
    client = DeployClient(
        params["deploy_url"], secret=params["deploy_secret"], timeout=params["deploy_timeout"]
    )
    try:
        result = converge(client, params, check_mode=module.check_mode)
    except DeployError as exc:
        msg = f"Could not make app {params['app_id']!r} {params['state']}: {exc}"
        module.fail_json(msg=msg, **failure(client, exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
