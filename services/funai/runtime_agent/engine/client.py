"""Connection to the container engine and the translation of its errors."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
import urllib3
from docker.api.client import APIClient
from docker.errors import APIError, DockerException, NotFound

from funai.runtime_agent.errors import (
    DiskFullError,
    EngineFailedError,
    EngineSilentError,
    EngineUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_ROOM = "no space left on device"
# The last kind comes from a stream that breaks off: the SDK reads it past requests.
_BROKEN = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError)


class EngineClient:
    """Connects on first use, so that the agent starts and serves routes without an engine.

    :param socket: path of the engine's UNIX socket
    :param timeout_seconds: for connecting and for each read
    """

    def __init__(self, socket: str, timeout_seconds: float) -> None:
        self._url = f"unix://{socket}"
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._client: APIClient | None = None

    @contextmanager
    def request(self, what: str) -> Iterator[APIClient]:
        """Yield the client; whatever the engine does wrong leaves as an AgentError.

        ``NotFound`` passes: its meaning is the caller's.

        :param what: what is tried, for the error text
        :raises EngineUnavailableError: where the engine cannot be reached
        :raises EngineSilentError: where it took the request and did not answer in time
        :raises DiskFullError: where the engine has no room
        :raises EngineFailedError: with the engine's words
        """
        try:
            yield self._connect()
        except NotFound:
            raise
        except APIError as exc:
            raise engine_failure(what, str(exc.explanation or exc)) from exc
        except requests.ReadTimeout as exc:
            msg = f"could not {what}: the container engine took the request and gave no answer"
            raise EngineSilentError(msg, {"error": str(exc)[:500]}) from exc
        except _BROKEN as exc:
            msg = f"could not {what}: the container engine does not answer on {self._url}"
            raise EngineUnavailableError(msg, {"error": str(exc)[:500]}) from exc

    def _connect(self) -> APIClient:
        with self._lock:
            if self._client is None:
                # "auto" asks the engine for its API version: engines refuse too old and too new.
                self._client = APIClient(self._url, version="auto", timeout=int(self._timeout))
            return self._client


def engine_failure(what: str, explanation: str) -> EngineFailedError | DiskFullError:
    """Return the error for the engine's own words."""
    if _NO_ROOM in explanation.lower():
        return DiskFullError(f"could not {what}: the node's disk is full", {"engine": explanation})
    return EngineFailedError(f"could not {what}: {explanation}", {"engine": explanation})
