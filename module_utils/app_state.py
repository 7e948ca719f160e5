"""What an app is, what is declared of it, and whether the two agree. Pure.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass, replace

if t.TYPE_CHECKING:
    from module_utils.deploy_client import ENDED, DeployError, JSONObject, payload_of
else:
    from ansible.module_utils.deploy_client import ENDED, DeployError, JSONObject, payload_of

#: Deploy's port where a payload names none (docs/contract.md, section 4).
DEFAULT_PORT = 3000
DEFAULT_HEALTH_PATH = "/"
#: What a build reads beside the commit: keys on the wire, and what stands for a key left out.
BUILD_KEYS = {
    "dockerfile_path": "dockerfilePath",
    "build_context": "buildContext",
    "build_args": "buildArgs",
}
BUILD_DEFAULTS: JSONObject = {
    "dockerfile_path": "Dockerfile",
    "build_context": ".",
    "build_args": {},
}
#: Options that go into the payload beside those of every job, and their keys on the wire.
SOURCE_KEYS = {
    "repo_url": "repoUrl",
    "commit": "commit",
    "health_path": "healthPath",
    **BUILD_KEYS,
}
#: Revisions that can be gone back to; of the others Deploy says why not.
DEPLOYABLE = frozenset({"ACTIVE", "SUPERSEDED"})
_HOST = re.compile(r"((?:https?|ssh)://(?:[^@/]*@)?|[^@/:]+@)([^/:]+)")


@dataclass(frozen=True)
class App:
    """What an app is, or what is declared of it; None in a declaration: whatever it is."""

    #: ``registered`` is an app with jobs of which none succeeded; nobody declares that.
    state: t.Literal["present", "stopped", "absent", "registered"]
    image: str | None = None
    container_port: int | None = None
    repo_url: str | None = None
    #: The SHA where it is known, else what was asked for.
    commit: str | None = None
    #: What was asked for: branch, tag or SHA.
    commit_ref: str | None = None
    #: Options of the build; None where Deploy no longer has the job that says them.
    build: JSONObject | None = None
    health_path: str | None = None
    revision: int | None = None

    def fulfils(self, desired: App) -> bool:
        """Return whether the app is what is declared."""
        if self.state != desired.state:
            return False
        if desired.commit is not None and desired.commit not in {self.commit, self.commit_ref}:
            return False
        wanted = (
            (desired.image, self.image),
            (desired.container_port, self.container_port),
            (desired.repo_url, self.repo_url),
            (desired.health_path, self.health_path),
            (desired.revision, self.revision),
        )
        agree = all(value is None or value == found for value, found in wanted)
        return agree and self._is_built_as(desired.build or {})

    def _is_built_as(self, options: JSONObject) -> bool:
        # What nobody knows any more is no reason to deploy again and again.
        return self.build is None or all(self.build[name] == options[name] for name in options)


def comparable_url(url: object) -> str | None:
    """Return a repository's address as runners report it: host in lower case, no last slash."""
    text = str(url or "").strip().rstrip("/")
    return _HOST.sub(lambda found: found[1] + found[2].lower(), text, count=1) or None


def comparable_build(given: JSONObject) -> JSONObject:
    """Return options of a build as a build reads them."""
    found: JSONObject = {}
    for name, value in given.items():
        if name == "build_args":
            found[name] = {key: _argument(value[key]) for key in value}
        else:
            found[name] = posixpath.normpath(str(value))
    return found


def _argument(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_build(payload: JSONObject) -> JSONObject | None:
    """Return the options of a build that a job's payload says; None where it builds nothing."""
    if payload.get("image"):
        return None
    said = {name: payload.get(key) or BUILD_DEFAULTS[name] for name, key in BUILD_KEYS.items()}
    return comparable_build(said)


def read_job(payload: JSONObject, *, stopped: bool = False) -> App:
    """Return the app that a job's payload makes."""
    image = str(payload.get("image") or "") or None
    repo_url = None if image else payload.get("repoUrl") or payload.get("repoSshUrl")
    commit = str(payload.get("commit") or payload.get("gitRef") or "") or None
    number = payload.get("rollbackTo")
    return App(
        state="stopped" if stopped else "present",
        image=image,
        container_port=int(payload.get("containerPort") or DEFAULT_PORT),
        repo_url=comparable_url(repo_url),
        commit=commit,
        commit_ref=commit,
        build=read_build(payload),
        health_path=payload.get("healthPath") or DEFAULT_HEALTH_PATH,
        revision=None if number is None else int(number),
    )


def read_revision(revision: JSONObject, jobs: list[JSONObject], *, stopped: bool = False) -> App:
    """Return the app that a revision is.

    :param jobs: the app's jobs, of which one may be the one that made it
    """
    config = revision.get("config") or {}
    made_by = next((job["payload"] for job in jobs if job["id"] == revision.get("jobId")), None)
    return App(
        state="stopped" if stopped or revision.get("stoppedAt") else "present",
        image=revision.get("image"),
        container_port=int(config.get("containerPort") or DEFAULT_PORT),
        repo_url=comparable_url(revision.get("repoUrl")),
        commit=revision.get("commit") or revision.get("commitRef"),
        commit_ref=revision.get("commitRef"),
        build=None if made_by is None else read_build(made_by),
        health_path=config.get("healthPath") or DEFAULT_HEALTH_PATH,
        revision=int(revision["number"]),
    )


def current_app(
    jobs: list[JSONObject], revisions: list[JSONObject], *, stopped: bool = False
) -> App:
    """Return what the app is: its ACTIVE revision, else what its newest success made.

    :param jobs: the app's jobs, newest first
    :param revisions: the app's revisions; none of an app that was deployed before they were kept
    """
    for revision in revisions:
        if revision["state"] == "ACTIVE":
            return read_revision(revision, jobs, stopped=stopped)
    for job in jobs:
        if job["status"] == "SUCCEEDED":
            return read_job(job["payload"], stopped=stopped)
    return App("registered") if jobs else App("absent")


def rollback_target(revisions: list[JSONObject], number: int) -> JSONObject:
    """Return the revision to go back to.

    :raises DeployError: where there is none of that number, or its image is not there to run
    """
    listed = [revision["number"] for revision in revisions if revision["state"] in DEPLOYABLE]
    able = ", ".join(str(each) for each in listed) or "none"
    for revision in revisions:
        if revision["number"] == number:
            if revision["state"] in DEPLOYABLE:
                return revision
            msg = f"revision {number} is {revision['state']}; the ones that can run: {able}"
            raise DeployError(msg)
    msg = f"it has no revision {number}; the ones that can run: {able}"
    raise DeployError(msg)


def desired_app(params: dict[str, t.Any], current: App, revisions: list[JSONObject]) -> App:
    """Return what the options ask for; for a rollback the revision's number is all that counts.

    :raises DeployError: where they name a revision that cannot be gone back to
    """
    if params["state"] == "absent":
        return App("absent")
    if params["state"] == "stopped":
        # Where nothing runs there is nothing to stop.
        return replace(current, state="stopped") if current.state == "present" else current
    if params["state"] == "rolled_back":
        target = rollback_target(revisions, params["revision"])
        return replace(read_revision(target, []), state="present")
    return App(
        state="present",
        image=params["image"],
        container_port=params["container_port"] or current.container_port or DEFAULT_PORT,
        repo_url=comparable_url(params["repo_url"]),
        commit=params["commit"],
        commit_ref=params["commit"],
        build=comparable_build(
            {name: params[name] for name in BUILD_KEYS if params[name] is not None}
        ),
        health_path=params["health_path"],
    )


def unended_job(jobs: list[JSONObject]) -> JSONObject | None:
    """Return the newest job that has not ended."""
    return next((job for job in jobs if job["status"] not in ENDED), None)


def brings(job: JSONObject | None, desired: App) -> bool:
    """Return whether the job brings what is declared."""
    if job is None:
        return False
    made = read_job(job["payload"])
    if desired.revision is not None:
        # Its number is the whole of a rollback; image and port are the revision's own.
        return made.revision == desired.revision
    return made.fulfils(desired)


def is_changed(
    current: App, desired: App, unended: JSONObject | None, params: dict[str, t.Any]
) -> bool:
    """Return whether something has to be done."""
    if not current.fulfils(desired):
        return True
    if desired.state != "present":
        return False
    # A job under way that brings something else would undo what is declared.
    undone = unended is not None and not brings(unended, desired)
    return undone or is_anew(params)


def is_anew(params: dict[str, t.Any]) -> bool:
    """Return whether a job is made also where the app runs what is asked for."""
    return bool(params[{"present": "rebuild", "rolled_back": "redeploy"}[params["state"]]])


def job_payload(params: dict[str, t.Any], port: int | None) -> JSONObject:
    """Return the payload of the job that brings what the options ask for."""
    payload = payload_of({**params, "container_port": port})
    if params["repo_url"] is not None:
        # An image beside it would win in the runner.
        payload.pop("image", None)
    for option, key in SOURCE_KEYS.items():
        if params[option] is not None:
            payload[key] = params[option]
    if params["rebuild"]:
        payload["rebuild"] = True
    return payload
