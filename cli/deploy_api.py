"""Deploy's answers, as the contract has them."""

from __future__ import annotations

import json
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from cli.errors import CliError, UnknownError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cli.platform import Platform

    #: Parameters of a request.
    Wish = Mapping[str, str | int | list[str]]

_CONNECT_SECONDS = 5
_READ_SECONDS = 20
#: Deploy comments each ten seconds of silence on a job's log.
_QUIET_SECONDS = 30
#: An app may write nothing for long; Deploy itself ends the answer after ten minutes.
_APP_QUIET_SECONDS = 660
_PLACEMENTS = 2000
#: Deploy takes 200, in a line of at most 8 kB.
APPS_AT_ONCE = 100
_OK, _UNAUTHORIZED, _NOT_FOUND, _TOO_BUSY = 200, 401, 404, 503


@dataclass(frozen=True)
class Event:
    """An event of a job's log; ``next_offset`` is where to go on from after it."""

    name: str
    data: dict[str, Any]
    next_offset: int | None


class DeployApi:
    """Asks Deploy; safe to use from several threads."""

    def __init__(self, platform: Platform) -> None:
        self.url = platform.deploy_url.rstrip("/")
        self._api = {"X-DEPLOY-SECRET": platform.deploy_secret}
        self._admin = {"X-Admin-Token": platform.admin_token}

    def ready(self) -> None:
        """Return where Deploy and its database answer; raise what is wrong otherwise."""
        self._one("/internal/ready", {})

    def figures(self) -> str:
        """Return Deploy's figures in Prometheus' text format."""
        with self._open("/metrics", {}) as answer:
            return str(answer.text)

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes."""
        return self._list("/admin/runtime-nodes/list", self._admin)

    def runners(self) -> list[dict[str, Any]]:
        """Return all runners."""
        return self._list("/admin/runners/list", self._admin)

    def apps_on(self, node_id: int) -> Iterator[str]:
        """Yield the ids of the apps that are placed on a node."""
        offset = 0
        while True:
            wish: Wish = {"nodeId": node_id, "offset": offset, "limit": _PLACEMENTS}
            page = self._one("/admin/runtime-nodes/placements", self._admin, wish)
            yield from (item["appId"] for item in page["items"])
            offset += len(page["items"])
            if not page["items"] or offset >= page["total"]:
                return

    def count_on(self, node_id: int) -> int:
        """Return how many apps are placed on a node."""
        wish = {"nodeId": node_id, "limit": 1}
        page = self._one("/admin/runtime-nodes/placements", self._admin, wish)
        return int(page["total"])

    def apps(self, app_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what runs of at most APPS_AT_ONCE apps; unknown ones are left out."""
        return self._list("/deploy/apps", self._api, {"appId": list(app_ids)})

    def jobs(self, limit: int, app_id: str | None = None) -> list[dict[str, Any]]:
        """Return the newest jobs, of one app or of all."""
        if app_id is None:
            return self._list("/deploy/jobs", self._api, {"limit": limit})
        return self._list("/deploy/jobs/by-app", self._api, {"limit": limit, "appId": app_id})

    def unended_jobs(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest jobs that wait or run."""
        wish: Wish = {"limit": limit, "status": "PENDING,RUNNING"}
        return self._list("/deploy/jobs", self._api, wish)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        return self._one(f"/deploy/jobs/{_segment(job_id)}", self._api)

    def job_log(self, job_id: str, offset: int, limit: int = 1000) -> dict[str, Any]:
        """Return a page of a job's log."""
        path = f"/deploy/jobs/{_segment(job_id)}/logs"
        return self._one(path, self._api, {"offset": offset, "limit": limit})

    def job_events(self, job_id: str, offset: int) -> Iterator[Event]:
        """Yield the events of a job's log from a line on, until Deploy closes the answer."""
        path = f"/deploy/jobs/{_segment(job_id)}/logs/stream"
        wish = {"offset": offset}
        with self._open(path, self._api, wish, quiet=_QUIET_SECONDS, stream=True) as answer:
            yield from read_events(line.decode() for line in answer.iter_lines(None))

    def app_log(self, app_id: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Yield the lines of an app's own log, as they come."""
        path = f"/deploy/apps/{_segment(app_id)}/logs"
        wish: Wish = {"tail": tail, "follow": "true" if follow else "false"}
        quiet = _APP_QUIET_SECONDS if follow else _READ_SECONDS
        with self._open(path, self._api, wish, quiet=quiet, stream=True) as answer:
            for line in answer.iter_lines(None):
                yield line.decode(errors="replace")

    def _one(self, path: str, headers: dict[str, str], wish: Wish | None = None) -> dict[str, Any]:
        with self._open(path, headers, wish) as answer:
            found: dict[str, Any] = answer.json()["data"]
        return found

    def _list(
        self, path: str, headers: dict[str, str], wish: Wish | None = None
    ) -> list[dict[str, Any]]:
        with self._open(path, headers, wish) as answer:
            found: list[dict[str, Any]] = answer.json()["data"]
        return found

    @contextmanager
    def _open(
        self,
        path: str,
        headers: dict[str, str],
        wish: Wish | None = None,
        *,
        quiet: float = _READ_SECONDS,
        stream: bool = False,
    ) -> Iterator[requests.Response]:
        with requests.Session() as session:
            # Deploy is inside; a proxy of the shell must not get the secrets.
            session.trust_env = False
            try:
                answer = session.get(
                    self.url + path,
                    params=dict(wish or {}),
                    headers=headers,
                    timeout=(_CONNECT_SECONDS, quiet),
                    stream=stream,
                    allow_redirects=False,
                )
                if answer.status_code != _OK:
                    self._refuse(answer)
                yield answer
            except requests.RequestException as error:
                raise self._silent(error) from error

    def _silent(self, error: requests.RequestException) -> UnreachableError:
        if isinstance(error, requests.ReadTimeout):
            what = "took the request and did not answer in time"
        elif isinstance(error, requests.ConnectTimeout):
            what = f"does not answer within {_CONNECT_SECONDS} s"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            what = "broke the connection off"
        else:
            what = "cannot be reached"
        advice = (
            "look at the service: `fab status`; from elsewhere than an operator's machine its"
            " firewall lets nothing through (operator_addresses)"
        )
        return UnreachableError(f"Deploy at {self.url} {what}", advice)

    def _refuse(self, answer: requests.Response) -> NoReturn:
        try:
            message = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            message = f"it answered HTTP {answer.status_code}"
        if answer.status_code == _UNAUTHORIZED:
            reason = f"Deploy at {self.url} does not take the secret shown: {message}"
            raise CliError(
                reason, 'use this platform\'s secrets: eval "$(./dev env)", or its vault'
            )
        if answer.status_code == _NOT_FOUND:
            raise UnknownError(message, "`fab apps` and `fab jobs` list what there is")
        reason = f"Deploy at {self.url} cannot answer: {message}"
        if answer.status_code == _TOO_BUSY:
            seconds = answer.headers.get("Retry-After", "")
            pause = float(seconds) if seconds.isdigit() else 0.0
            raise UnreachableError(reason, "try again in a moment; `fab status` tells more", pause)
        raise CliError(reason, "`fab status` tells whether its database and nodes are well")


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Yield server-sent events; comments are passed over, one that is cut off is dropped."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "event" in fields:
            number = fields.get("id", "")
            offset = int(number) if number.isdigit() else None
            yield Event(fields["event"], json.loads(fields.get("data", "{}")), offset)
        fields = {}


def _segment(value: str) -> str:
    """Return an id as one segment of a path."""
    return urllib.parse.quote(value, safe="")
