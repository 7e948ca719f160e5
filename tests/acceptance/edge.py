"""Asks the public entry, which learns of a new route a moment after the job that made it has ended."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

ROUTE_SECONDS = 15.0


def ask(http: requests.Session, url: str, **options: Any) -> requests.Response:
    """Return the first answer that is 200, or the last one before the time is over."""
    deadline = time.monotonic() + ROUTE_SECONDS
    pause = threading.Event()
    while True:
        answer = http.get(url, **options)
        if answer.status_code == 200 or time.monotonic() > deadline:
            return answer
        pause.wait(0.5)
