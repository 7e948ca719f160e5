"""Speaks to a node's runtime-agent. The only HTTP that Deploy sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from funai.contract.headers import RUNTIME_TOKEN
from funai.deploy.apps.model import AgentAnswer
from funai.deploy.errors import AgentFailedError, NotFoundError
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    from funai.deploy.nodes.model import Node

_CONNECT_SECONDS = 2.0
_MAX_ERROR = 500
#: An app that logs nothing for longer ends who follows it; the agent ends earlier.
_SILENCE_SECONDS = 660.0

#: For a removal. With the connection's two, and the database's work, below the eight that callers wait for.
DELETE_SECONDS = 3.0


def target(app_id: str, user_id: str, fence: int) -> dict[str, Any]:
    """Return how an agent is told of an app; a fence of 0 is none, as of an earlier system."""
    body: dict[str, Any] = {"userId": user_id, "appId": app_id}
    return body | {"fence": fence} if fence else body


class AgentClient:
    """Calls agents with the runtime token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def stop(self, node: Node, body: dict[str, Any], *, seconds: float) -> AgentAnswer:
        """Ask the node to stop an app."""
        return self._post(node, "/agent/apps/stop", body, seconds)

    def close(self, node: Node, body: dict[str, Any], *, seconds: float) -> AgentAnswer:
        """Ask the node to carry out nothing of an app that is older than the fence."""
        return self._post(node, "/agent/apps/close", body, seconds)

    def delete(self, node: Node, body: dict[str, Any], *, seconds: float) -> AgentAnswer:
        """Ask the node to remove an app's containers and images."""
        return self._post(node, "/agent/apps/delete", body, seconds)

    def fences(self, node: Node, *, seconds: float) -> AgentAnswer:
        """Ask the node for the highest fence of each app that it knows."""
        return self._ask(node, "GET", "/agent/apps/fences", None, seconds)

    def read_log(self, node: Node, app_id: str, *, tail: int, follow: bool) -> requests.Response:
        """Open the app's log on its node; the caller closes the answer.

        :raises NotFoundError: where no container of the app is on the node
        :raises AgentFailedError: with what the agent said
        """
        url = f"{node.agent_base_url.rstrip('/')}/agent/apps/logs"
        query = {"userId": "0", "appId": app_id, "tail": str(tail), "follow": str(int(follow))}
        session = requests.Session()
        session.trust_env = False
        try:
            answer = session.get(
                url,
                params=query,
                headers={RUNTIME_TOKEN: self._token},
                timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as exc:
            msg = f"the log of app {app_id} cannot be read: GET {url} got no answer: {_cause(exc)}"
            raise AgentFailedError(msg) from exc
        if answer.status_code != requests.codes.ok:
            error = _read(url, answer, "GET").error
            answer.close()
            msg = f"the log of app {app_id} cannot be read from node {node.name}: {error}"
            if answer.status_code == requests.codes.not_found:
                raise NotFoundError(msg)
            raise AgentFailedError(msg)
        return answer

    def _post(self, node: Node, path: str, body: dict[str, Any], seconds: float) -> AgentAnswer:
        return self._ask(node, "POST", path, body, seconds)

    def _ask(
        self, node: Node, method: str, path: str, body: dict[str, Any] | None, seconds: float
    ) -> AgentAnswer:
        url = node.agent_base_url.rstrip("/") + path
        try:
            # A session of its own: neither proxies nor .netrc of the environment belong between us.
            with requests.Session() as session:
                session.trust_env = False
                answer = session.request(
                    method,
                    url,
                    json=body,
                    headers={RUNTIME_TOKEN: self._token},
                    timeout=(_CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                )
                return _read(url, answer, method)
        except requests.RequestException as exc:
            return AgentAnswer(success=False, error=f"{method} {url} got no answer: {_cause(exc)}")


def _read(url: str, answer: requests.Response, method: str = "POST") -> AgentAnswer:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = None
    response = body if isinstance(body, dict) else {}
    if answer.status_code == requests.codes.ok and response:
        return AgentAnswer(success=True, response=response, status=answer.status_code)
    why = response.get("detail") or answer.text
    error = f"{method} {url} answered HTTP {answer.status_code}: {keep_head(str(why), _MAX_ERROR)}"
    return AgentAnswer(success=False, response=response, error=error, status=answer.status_code)


def _cause(exc: requests.RequestException) -> str:
    if isinstance(exc, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(exc, requests.ReadTimeout):
        return "no answer in time"
    if isinstance(exc, requests.ConnectionError):
        return "the connection was refused or cut"
    return type(exc).__name__
