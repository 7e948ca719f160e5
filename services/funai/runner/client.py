"""Speaks to Deploy: claim, heartbeat, report, settings. The only HTTP of the runner's supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from funai.contract.headers import RUNNER_TOKEN
from funai.runner.errors import DeployUnreachableError

CONNECT_SECONDS = 3.0
#: A heartbeat or report that takes longer is tried again.
ANSWER_SECONDS = 5.0
#: What Deploy may take on top of the wait it was asked for.
CLAIM_EXTRA_SECONDS = 10.0

OK = 200
NOT_FOUND = 404
CONFLICT = 409
_FAILED = frozenset({int(HTTPStatus.INTERNAL_SERVER_ERROR)})


@dataclass(frozen=True)
class Answer:
    """Deploy's envelope. ``code`` decides, not the HTTP status."""

    code: int
    message: str
    data: Any


class DeployClient:
    """A connection to Deploy in the name of one runner. Not for use by two threads at once."""

    def __init__(self, base_url: str, token: str, runner_id: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._runner_id = runner_id
        self._session = requests.Session()
        # Proxies and .netrc of the environment are for the outside world, not for Deploy.
        self._session.trust_env = False
        if token:
            self._session.headers[RUNNER_TOKEN] = token

    def claim(self, *, lease_seconds: int, wait_seconds: int, capacity: int) -> Answer:
        """Ask for a job and wait up to ``wait_seconds`` for one; ``data`` is None without."""
        body = {"leaseSeconds": lease_seconds, "waitSeconds": wait_seconds, "capacity": capacity}
        return self._post("/deploy/jobs/claim", body, wait_seconds + CLAIM_EXTRA_SECONDS)

    def heartbeat(
        self,
        job_id: str,
        *,
        fence: int,
        extend_seconds: float,
        phase: str = "",
        result: dict[str, Any] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Answer:
        """Extend the lease; code 409 says that it is no longer ours or that the job ended.

        :param result: what is known of the image that was pushed, in case no report follows
        """
        body: dict[str, Any] = {"fence": fence, "extendSeconds": max(1, int(extend_seconds))}
        if phase:
            body["phase"] = phase
        if result:
            body["result"] = result
        return self._post(f"/deploy/jobs/{job_id}/heartbeat", body, timeout)

    def report(self, job_id: str, body: dict[str, Any]) -> Answer:
        """Give the final word on a job; safe to repeat."""
        return self._post(f"/deploy/jobs/{job_id}/report", body, ANSWER_SECONDS)

    def append_log(self, job_id: str, body: dict[str, Any], timeout: float) -> Answer:
        """Append lines to a job's log; ``data.next`` of the answer is the next line's number."""
        return self._post(f"/deploy/jobs/{job_id}/logs", body, timeout)

    def app_settings(self, job_id: str, *, fence: int, timeout: float) -> Answer:
        """Ask for the environment and limits of a job's app; code 409 says that it is not ours."""
        path = f"/deploy/jobs/{job_id}/app-settings"
        query = {"runnerId": self._runner_id, "fence": fence}
        # What Deploy cannot decrypt now it cannot decrypt a second later.
        return self._send("GET", path, timeout, query=query, final=_FAILED)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _post(self, path: str, body: dict[str, Any], timeout: float) -> Answer:
        return self._send("POST", path, timeout, body={"runnerId": self._runner_id, **body})

    def _send(
        self,
        method: str,
        path: str,
        timeout: float,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        final: frozenset[int] = frozenset(),
    ) -> Answer:
        """Make one request.

        :param final: failures of Deploy that are an answer all the same
        """
        try:
            response = self._session.request(
                method,
                self._base_url + path,
                timeout=(min(CONNECT_SECONDS, timeout), timeout),
                params=query,
                json=body,
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            msg = f"{method} {path}: {_cause(exc)}"
            raise DeployUnreachableError(msg) from exc
        try:
            envelope = response.json()
        except requests.RequestException as exc:
            msg = f"{method} {path}: {_cause(exc)}"
            raise DeployUnreachableError(msg, response.status_code) from exc
        if not isinstance(envelope, dict) or not isinstance(envelope.get("code"), int):
            msg = f"{method} {path}: HTTP {response.status_code} without the envelope of Deploy"
            raise DeployUnreachableError(msg, response.status_code)
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in final:
            msg = f"{method} {path}: HTTP {response.status_code}: {envelope.get('message')}"
            raise DeployUnreachableError(msg)
        return Answer(envelope["code"], str(envelope.get("message", "")), envelope.get("data"))


def _cause(exc: requests.RequestException) -> str:
    """Name the cause without urllib3's nest of objects."""
    if isinstance(exc, requests.ReadTimeout):
        return "no answer in time"
    if isinstance(exc, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(exc, requests.JSONDecodeError):
        return "the answer is not JSON"
    if isinstance(exc, requests.ConnectionError):
        return f"connection failed ({_root(exc)})"
    return type(exc).__name__


def _root(exc: BaseException) -> str:
    """Return the innermost operating-system error, as 'Connection refused'."""
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        reason = getattr(seen.args[0], "reason", None) if seen.args else None
        seen = reason if isinstance(reason, BaseException) else seen.__context__
    return type(exc).__name__
