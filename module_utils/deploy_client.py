"""Client of the Deploy control plane, shared by the modules in ``library/``.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import json
import threading
import time
import typing as t
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode

from ansible.module_utils.urls import open_url

JSONObject = dict[str, t.Any]
Shape = t.TypeVar("Shape", dict[str, t.Any], list[dict[str, t.Any]])

DEFAULT_TIMEOUT = 10  # seconds
NOT_FOUND = 404
SUCCESS = 200
#: Largest page Deploy serves of jobs, placements and revisions (docs/contract.md, section 3).
JOBS_PAGE = 200
PLACEMENTS_PAGE = 2000
REVISIONS_PAGE = 200
#: Seconds between two looks at a job that is waited for.
JOB_POLL_SECONDS = 0.5
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class DeployError(Exception):
    """Deploy refused a request, or could not be reached."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        #: The envelope's code or, where there was no envelope, the HTTP status.
        self.code = code


class JobFailedError(DeployError):
    """A job ended without success."""

    def __init__(self, message: str, job: JSONObject) -> None:
        super().__init__(message)
        #: The job, keys as on the wire.
        self.job = job


@dataclass(frozen=True)
class Node:
    """A runtime node as an operator declares it."""

    name: str
    agent_base_url: str
    gateway_base_url: str
    #: Share of placements relative to the other nodes; unitless.
    weight: int = 100
    #: Whether Deploy may place apps here.
    enabled: bool = True


@dataclass(frozen=True)
class NodeRecord:
    """A runtime node as Deploy keeps it: what was declared and what was seen."""

    node_id: int
    node: Node
    health: str
    last_heartbeat_at: str | None
    disk_free_pct: float | None
    container_count: int | None


def deploy_argument_spec(*secrets: str) -> dict[str, dict[str, t.Any]]:
    """Return the options every module that talks to Deploy takes.

    :param secrets: names of the credentials the module shows, each a required option
    """
    return {
        "deploy_url": {"type": "str", "required": True},
        "deploy_timeout": {"type": "int", "default": DEFAULT_TIMEOUT},
        **{name: {"type": "str", "required": True, "no_log": True} for name in secrets},
    }


def bare_url(url: str) -> str:
    """Return the URL as Deploy compares it: trimmed, without trailing slashes."""
    return url.strip().rstrip("/")


def read_node(summary: JSONObject) -> NodeRecord:
    """Return the record behind a NodeSummary of the wire."""
    return NodeRecord(
        node_id=int(summary["nodeId"]),
        node=Node(
            name=summary["name"],
            agent_base_url=bare_url(summary["agentBaseUrl"]),
            gateway_base_url=bare_url(summary["gatewayBaseUrl"]),
            weight=int(summary["weight"]),
            enabled=bool(summary["enabled"]),
        ),
        health=summary["health"],
        last_heartbeat_at=summary.get("lastHeartbeatAt"),
        disk_free_pct=summary.get("diskFreePct"),
        container_count=summary.get("containerCount"),
    )


def read_envelope(what: str, status: int, body: bytes) -> object:
    """Return an answer's data.

    :param what: the request, for the error text
    :raises DeployError: where the answer is no envelope, or its code is not 200
    """
    try:
        envelope = json.loads(body)
        code, message, data = int(envelope["code"]), envelope["message"], envelope["data"]
    except (ValueError, KeyError, TypeError) as exc:
        head = body.decode(errors="replace")[:200]
        msg = f"{what} answered {status} without Deploy's envelope: {head!r}"
        raise DeployError(msg, status) from exc
    if code != SUCCESS:
        msg = f"{what} answered {code}: {message}"
        raise DeployError(msg, code)
    return data


class DeployClient:
    """Makes requests to Deploy and opens its envelope.

    :param base_url: root of the API, for example ``http://deploy-01:7002``
    :param secret: shown as ``X-DEPLOY-SECRET`` where given; needed for jobs and apps
    :param admin_token: shown as ``X-Admin-Token`` where given; needed for nodes
    :param timeout: seconds to wait for one answer
    """

    def __init__(
        self,
        base_url: str,
        *,
        secret: str | None = None,
        admin_token: str | None = None,
        timeout: int = DEFAULT_TIMEOUT,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        credentials = {"X-DEPLOY-SECRET": secret, "X-Admin-Token": admin_token}
        self._headers = {name: value for name, value in credentials.items() if value}
        self._headers["Content-Type"] = "application/json"
        self._timeout = timeout

    def list_nodes(self) -> list[NodeRecord]:
        """Return every node's record, in Deploy's order."""
        return [read_node(item) for item in self._get_list("/admin/runtime-nodes/list")]

    def get_node(self, name: str) -> NodeRecord | None:
        """Return the node's record, or None where Deploy knows no such node."""
        return next((record for record in self.list_nodes() if record.node.name == name), None)

    def put_node(self, node: Node) -> None:
        """Create the record or bring it to the given values."""
        body = {
            "name": node.name,
            "agentBaseUrl": node.agent_base_url,
            "gatewayBaseUrl": node.gateway_base_url,
            "weight": node.weight,
            "enabled": node.enabled,
        }
        self._post("/admin/runtime-nodes/upsert", body)

    def get_placements(self, node_id: int) -> list[str]:
        """Return the ids of the apps placed on the node, sorted."""
        apps: list[str] = []
        while True:
            query = {"nodeId": node_id, "offset": len(apps), "limit": PLACEMENTS_PAGE}
            page = self._get("/admin/runtime-nodes/placements", query)
            apps += [item["appId"] for item in page["items"]]
            if not page["items"] or len(apps) >= int(page["total"]):
                return sorted(apps)

    def place_app(self, app_id: str, node_id: int) -> None:
        """Place the app on the node; it runs there from its next deploy on."""
        body = {"appId": app_id, "targetNodeId": node_id}
        self._call("POST", "/admin/runtime-nodes/reassign", json.dumps(body))

    def create_job(self, job: JSONObject, key: str | None) -> JSONObject:
        """Create a job; with a key Deploy knows already it returns that key's job."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._post("/deploy/jobs", job, headers)

    def get_job(self, job_id: str) -> JSONObject | None:
        """Return the job, or None where Deploy knows no such job."""
        try:
            return self._get(f"/deploy/jobs/{quote(job_id, safe='')}")
        except DeployError as exc:
            if exc.code == NOT_FOUND:
                return None
            raise

    def get_job_events(self, job_id: str) -> list[JSONObject]:
        """Return what happened to the job, oldest first."""
        return self._get_list(f"/deploy/jobs/{quote(job_id, safe='')}/events")

    def list_app_jobs(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest jobs, newest first; none for an unknown app."""
        query = {"appId": app_id, "limit": JOBS_PAGE}
        return self._get_list("/deploy/jobs/by-app", query)

    def wait_for_job(self, job_id: str, timeout: float) -> JSONObject:
        """Return the job once it has ended.

        :param timeout: seconds to wait
        :raises DeployError: where it has not ended by then; the text says what it is doing
        """
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while True:
            job = self.get_job(job_id)
            if job is None:
                msg = f"job {job_id} is gone from Deploy"
                raise DeployError(msg, NOT_FOUND)
            if job["status"] in ENDED:
                return job
            if time.monotonic() >= deadline:
                msg = f"job {job_id} is still {describe_job(job)} after {timeout:g} s"
                raise DeployError(msg)
            pause.wait(JOB_POLL_SECONDS)

    def job_log(self, job_id: str, tail: int) -> list[JSONObject]:
        """Return the last lines of the job's log, oldest first."""
        path = f"/deploy/jobs/{quote(job_id, safe='')}/logs"
        total = int(self._get(path, {"limit": 1})["total"])
        query = {"offset": max(total - tail, 0), "limit": tail}
        return [dict(line) for line in self._get(path, query)["lines"]]

    def app(self, app_id: str) -> JSONObject | None:
        """Return what runs of the app and why, or None where Deploy knows no such app."""
        try:
            return self._get(f"/deploy/apps/{quote(app_id, safe='')}")
        except DeployError as exc:
            if exc.code == NOT_FOUND:
                return None
            raise

    def revisions(self, app_id: str) -> list[JSONObject]:
        """Return the app's newest revisions, newest first; none for an unknown app."""
        path = f"/deploy/apps/{quote(app_id, safe='')}/revisions"
        return self._get_list(path, {"limit": REVISIONS_PAGE})

    def rollback_app(self, app_id: str, revision: int, reason: str | None = None) -> JSONObject:
        """Create the job that brings the app back to a revision, in place of one under way."""
        body: JSONObject = {"revision": revision, "onConflict": "supersede"}
        if reason:
            body["reason"] = reason
        return self._post(f"/deploy/apps/{quote(app_id, safe='')}/rollback", body)

    def stop_app(self, app_id: str, user_id: int) -> JSONObject:
        """Stop the app's container and keep its records; return the agent's part."""
        body = {"userId": user_id, "appId": app_id}
        return self._post("/deploy/apps/stop", body)

    def clean_up_app(self, app_id: str, user_id: int) -> JSONObject:
        """Remove the app's containers, images and records; return what was removed."""
        body = {"userId": user_id, "appId": app_id}
        return self._post("/deploy/apps/cleanup", body)

    def _get(self, path: str, query: JSONObject | None = None) -> JSONObject:
        data = self._call("GET", f"{path}?{urlencode(query)}" if query else path)
        return self._expect(data, dict, path)

    def _get_list(self, path: str, query: JSONObject | None = None) -> list[JSONObject]:
        data = self._call("GET", f"{path}?{urlencode(query)}" if query else path)
        return self._expect(data, list, path)

    def _post(
        self, path: str, body: JSONObject, headers: dict[str, str] | None = None
    ) -> JSONObject:
        return self._expect(self._call("POST", path, json.dumps(body), headers), dict, path)

    def _expect(self, data: object, shape: type[Shape], path: str) -> Shape:
        if isinstance(data, shape):
            return data
        msg = f"{self._base_url}{path} answered a {type(data).__name__}, not a {shape.__name__}"
        raise DeployError(msg)

    def _call(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> object:
        """Make one request and return its data.

        :raises DeployError: its text names method, URL and cause
        """
        url = self._base_url + path
        what = f"{method} {url}"
        try:
            response = open_url(
                url,
                method=method,
                data=body,
                headers={**self._headers, **(headers or {})},
                timeout=self._timeout,
                # A proxy of the environment has no business between the platform's hosts.
                use_proxy=False,
                follow_redirects="none",
            )
            status, answer = int(response.status), response.read()
        except HTTPError as exc:
            # Denials carry the envelope too, beside their real HTTP status.
            status, answer = exc.code, exc.read()
        except (URLError, OSError) as exc:
            msg = f"{what} got no answer (timeout {self._timeout} s): {exc}"
            raise DeployError(msg) from exc
        return read_envelope(what, status, answer)


def describe_job(job: JSONObject) -> str:
    """Return the job's status with the reason or phase that explains it."""
    detail = job.get("errorMessage") or job.get("reason") or job.get("phase")
    return f"{job['status']} ({detail})" if detail else str(job["status"])


def payload_of(params: JSONObject) -> JSONObject:
    """Return the payload that a module's options describe; options left out are left out."""
    named = {
        "appId": params["app_id"],
        "userId": params["user_id"],
        "image": params["image"],
        "containerPort": params["container_port"],
    }
    given = {key: value for key, value in named.items() if value is not None}
    return {**params["payload"], **given}


def succeeded(job: JSONObject) -> JSONObject:
    """Return an ended job.

    :raises JobFailedError: where it did not succeed; the text carries Deploy's reason
    """
    if job["status"] != "SUCCEEDED":
        msg = f"job {job['id']} ended {describe_job(job)}"
        raise JobFailedError(msg, job)
    return job
