"""Speaks to Deploy. Its secrets stay here: nothing that a browser sees holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from funai.api.errors import DeployAwayError, DeployRefusedError
from funai.contract.envelope import SUCCESS
from funai.contract.headers import ADMIN_TOKEN, DEPLOY_SECRET, IDEMPOTENCY_KEY
from funai.contract.status import JOB_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from funai.api.config import DeploySettings

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
#: A stop or a removal waits for the app's node.
_SLOW_SECONDS = 60.0
#: Followed logs: longer than the comments by which Deploy shows that it is there.
_STREAM_SECONDS = 30.0
_POOL = 32
#: Ids of apps in a request: at their longest some 7 KB of the 8 that Deploy reads of an address.
_BATCH = 100


@dataclass(frozen=True)
class Forwarded:
    """An answer of Deploy as it came."""

    status: int
    envelope: dict[str, Any]
    #: Seconds, where Deploy says when to try again.
    retry_after: str | None = None


class DeployClient:
    """Deploy's API and its administration.

    Every method raises :class:`DeployRefusedError` with Deploy's own sentence, or
    :class:`DeployAwayError`.
    """

    def __init__(self, settings: DeploySettings) -> None:
        self._url = settings.url
        self._secrets = {DEPLOY_SECRET: settings.secret}
        self._admin = {**self._secrets, ADMIN_TOKEN: settings.admin_token}
        self._session = requests.Session()
        # Neither a proxy of the environment nor a .netrc may see the secrets.
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - whatever Deploy's JSON holds
        """Return the data of an answer under ``/deploy/``."""
        return self._call("GET", path, self._secrets, params=query)

    def post(
        self, path: str, body: Mapping[str, Any], *, key: str | None = None, slow: bool = False
    ) -> Any:  # noqa: ANN401 - whatever Deploy's JSON holds
        """Send a body under ``/deploy/``; return the data of the answer.

        :param key: idempotency key
        :param slow: whether Deploy asks a node before it answers
        """
        headers = {**self._secrets, **({IDEMPOTENCY_KEY: key} if key else {})}
        seconds = _SLOW_SECONDS if slow else _ANSWER_SECONDS
        return self._call("POST", path, headers, json=dict(body), seconds=seconds)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Deploy's JSON
        """Put a body under ``/deploy/``; return the data of the answer."""
        return self._call("PUT", path, self._secrets, json=dict(body))

    def admin_get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - Deploy's JSON
        """Return the data of an answer under ``/admin/``."""
        return self._call("GET", path, self._admin, params=query)

    def admin_post(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:  # noqa: ANN401 - Deploy's JSON
        """Send a body under ``/admin/``; return the data of the answer."""
        return self._call("POST", path, self._admin, json=dict(body or {}), params=query)

    def create_job(
        self, payload: Mapping[str, Any], *, supersede: bool = False, key: str | None = None
    ) -> dict[str, Any]:
        """Create a job of the one type there is."""
        body = {"type": JOB_TYPE, "payload": dict(payload)}
        if supersede:
            body["onConflict"] = "supersede"
        job: dict[str, Any] = self.post("/deploy/jobs", body, key=key)
        return job

    def standings(self, app_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what Deploy knows of apps, by id; apps that it does not know are left out."""
        found: list[dict[str, Any]] = []
        for ids in _batches(app_ids):
            found += self.get("/deploy/apps", appId=ids)
        return {app["appId"]: app for app in found}

    def jobs_of(
        self, app_ids: Sequence[str], *, limit: int, status: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest jobs of apps, newest first.

        :param status: status words with commas between them; None: all
        """
        found: list[dict[str, Any]] = []
        for ids in _batches(app_ids):
            found += self.get("/deploy/jobs", appId=ids, limit=limit, status=status)
        found.sort(key=lambda job: (job["createdAt"], job["id"]), reverse=True)
        return found[:limit]

    def forward(self, method: str, path: str, *, query: bytes, body: bytes) -> Forwarded:
        """Pass a call to the administration on as it came; return the answer as it is.

        :raises DeployAwayError: where there is none, or it is no envelope
        """
        url = f"{self._url}{path}"
        try:
            answer = self._session.request(
                method,
                f"{url}?{query.decode('latin-1')}" if query else url,
                headers={**self._admin, "Content-Type": "application/json"},
                data=body,
                timeout=(_CONNECT_SECONDS, _SLOW_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            raise _away(exc) from exc
        return Forwarded(answer.status_code, _envelope(answer), answer.headers.get("Retry-After"))

    def stream(
        self, path: str, headers: Mapping[str, str], **query: str | int
    ) -> requests.Response:
        """Open an answer that goes on, such as a log; who took it closes it."""
        sent = {**self._secrets, **headers}
        timeout = (_CONNECT_SECONDS, _STREAM_SECONDS)
        try:
            answer = self._session.get(
                self._url + path, headers=sent, params=query, stream=True, timeout=timeout
            )
        except requests.RequestException as exc:
            raise _away(exc) from exc
        if answer.status_code != SUCCESS:
            with answer:
                _unwrap(answer)
        return answer

    def is_ready(self) -> bool:
        """Tell whether Deploy answers and reaches its database."""
        try:
            answer = self._session.get(
                f"{self._url}/internal/ready", timeout=(_CONNECT_SECONDS, _CONNECT_SECONDS)
            )
        except requests.RequestException:
            return False
        return answer.status_code == SUCCESS

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        seconds: float = _ANSWER_SECONDS,
        **arguments: Any,  # noqa: ANN401 - as requests takes them
    ) -> Any:  # noqa: ANN401 - Deploy's JSON
        try:
            answer = self._session.request(
                method,
                self._url + path,
                headers=dict(headers),
                timeout=(_CONNECT_SECONDS, seconds),
                allow_redirects=False,
                **arguments,
            )
        except requests.RequestException as exc:
            raise _away(exc) from exc
        return _unwrap(answer)


def part(value: str) -> str:
    """Return a value as one part of a path."""
    return quote(value, safe="")


def _unwrap(answer: requests.Response) -> Any:  # noqa: ANN401 - Deploy's JSON
    found = _envelope(answer)
    if found["code"] != SUCCESS:
        raise DeployRefusedError(found["code"], found["message"])
    return found["data"]


def _envelope(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
        return {**found, **{name: found[name] for name in ("code", "message", "data")}}
    except (ValueError, KeyError, TypeError) as exc:
        msg = f"Deploy answered {answer.status_code} without its envelope; look at its log"
        raise DeployAwayError(msg) from exc


def _batches(app_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return ids in as many parts as it takes for each to fit a request's first line."""
    return (app_ids[at : at + _BATCH] for at in range(0, len(app_ids), _BATCH))


def _away(exc: requests.RequestException) -> DeployAwayError:
    kind = type(exc).__name__
    return DeployAwayError(
        f"Deploy does not answer ({kind}); nothing was lost, deployed apps go on. Try again in a moment"
    )
