"""Speaks to Deploy."""

from __future__ import annotations

import requests

_CONNECT_SECONDS = 3.0
_MARGIN_SECONDS = 10.0


class DeployUnreachableError(Exception):
    """Deploy did not answer, or not with JSON."""


class RouteClient:
    """Reads Deploy's route table."""

    def __init__(self, base_url: str, token: str) -> None:
        self._url = f"{base_url}/internal/routes"
        self._session = requests.Session()
        # No proxy, no .netrc: Deploy is a neighbour.
        self._session.trust_env = False
        self._session.headers["X-Gateway-Token"] = token

    def routes(self, since_version: int, wait_seconds: int) -> object:
        """Return Deploy's answer, which comes with the next version or after the wait.

        :raises DeployUnreachableError: where there is none
        """
        try:
            answer = self._session.get(
                self._url,
                params={"sinceVersion": since_version, "waitSeconds": wait_seconds},
                timeout=(_CONNECT_SECONDS, wait_seconds + _MARGIN_SECONDS),
                allow_redirects=False,
            )
            body: object = answer.json()
        except requests.RequestException as exc:
            msg = f"Deploy does not answer with routes: {exc}"
            raise DeployUnreachableError(msg) from exc
        if not answer.ok:
            msg = f"Deploy answers HTTP {answer.status_code}: {str(body)[:300]}"
            raise DeployUnreachableError(msg)
        return body
