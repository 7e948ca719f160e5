"""Tells Deploy that this node lives, and how much room it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from funai.runtime_agent.errors import AgentError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.conditions import Conditions
    from funai.runtime_agent.config import Settings

_OK = 200
_TIMEOUT_SECONDS = (3.0, 10.0)


class Heartbeat:
    """Posts to Deploy; the node works on without it."""

    def __init__(self, settings: Settings, parts: Parts, conditions: Conditions) -> None:
        self._settings = settings
        self._parts = parts
        self._conditions = conditions
        self._session = requests.Session()
        # No proxy, no .netrc: Deploy is a neighbour.
        self._session.trust_env = False

    def run_forever(self) -> None:
        """Beat now and every interval, until the process ends."""
        while True:
            self._conditions.report("deploy", self.beat())
            if self._parts.stopping.wait(self._settings.heartbeat_seconds):
                return

    def beat(self) -> str:
        """Send one heartbeat; return why it failed, or nothing."""
        try:
            answer = self._session.post(
                f"{self._settings.deploy_url}/internal/runtime-nodes/heartbeat",
                json=self._body(),
                headers={"X-RT-Node-Token": self._settings.node_token},
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            body = answer.json()
        except requests.RequestException as exc:
            return f"heartbeat to {self._settings.deploy_url} failed: {exc}"
        code = body.get("code") if isinstance(body, dict) else None
        if answer.status_code != _OK or code != _OK:
            return f"Deploy refused the heartbeat: HTTP {answer.status_code}, {str(body)[:300]}"
        return ""

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "nodeName": self._settings.node_name,
            "agentBaseUrl": self._settings.base_url,
            "gatewayBaseUrl": self._settings.gateway_base_url,
        }
        try:
            free, total = self._parts.images.disk()
            body["diskFreeBytes"] = free
            body["diskFreePct"] = round(100.0 * free / total, 2)
            body["containerCount"] = self._parts.containers.count_running()
        except (AgentError, OSError):
            # A node without figures still lives; the engine's trouble shows in health.
            return body
        return body
