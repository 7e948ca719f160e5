"""One HTTP GET, the way a gateway would send it, without following anything."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from funai.runtime_agent.engine.containers import printable

_HEAD_BYTES = 512
_READY_BELOW = 500


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    head: str = ""
    error: str = ""

    @property
    def ready(self) -> bool:
        """Whether the app can take traffic: it speaks HTTP and is not broken."""
        return 0 < self.status < _READY_BELOW

    def evidence(self) -> dict[str, Any]:
        """Return the answer for an error's evidence."""
        if self.status:
            return {"status": self.status, "bodyHead": self.head}
        return {"status": None, "error": self.error}


def get(url: str, timeout_seconds: float) -> Answer:
    """Send one GET and return status and the head of the body; never raises for the network."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    try:
        connection.request("GET", target, headers={"User-Agent": "funai-probe"})
        response = connection.getresponse()
        head = response.read(_HEAD_BYTES).decode("utf-8", "replace")
        return Answer(response.status, printable(head, _HEAD_BYTES))
    except http.client.HTTPException as exc:
        return Answer(0, error=f"not an HTTP answer: {exc!r}"[:200])
    except OSError as exc:
        return Answer(0, error=str(exc.strerror or exc)[:200])
    finally:
        connection.close()
