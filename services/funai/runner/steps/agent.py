"""Speaks to the runtime-agent of one node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from funai.contract.headers import RUNTIME_TOKEN
from funai.runner.errors import AgentUnreachableError

CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class AgentAnswer:
    """Status and body of an answer; a body that is not an object is empty."""

    status: int
    body: dict[str, Any]

    @property
    def reason(self) -> str:
        """The agent's word for what went wrong; empty on success or from an older agent."""
        value = self.body.get("reason")
        return value if isinstance(value, str) else ""


class AgentClient:
    """A connection to one agent."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers[RUNTIME_TOKEN] = token

    def deploy(self, body: dict[str, Any], timeout: float) -> AgentAnswer:
        """Declare what should run. The answer comes when the node's gateway serves it.

        :raises AgentUnreachableError: when there is no answer that can be understood
        """
        url = f"{self._base_url}/agent/apps/deploy"
        try:
            response = self._session.post(
                url,
                json=body,
                timeout=(min(CONNECT_SECONDS, timeout), timeout),
                allow_redirects=False,
            )
            content = response.json()
        except requests.ReadTimeout as exc:
            msg = f"no answer within {timeout:.0f} s"
            raise AgentUnreachableError(msg) from exc
        except requests.JSONDecodeError as exc:
            msg = "the answer is not JSON"
            raise AgentUnreachableError(msg) from exc
        except requests.RequestException as exc:
            msg = f"the connection failed ({type(exc).__name__})"
            raise AgentUnreachableError(msg) from exc
        return AgentAnswer(response.status_code, content if isinstance(content, dict) else {})
