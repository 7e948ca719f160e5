"""Asks a preview gateway as browsers, programs and attackers do."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.preview.conftest import Nginx

WAIT_SECONDS = 30
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SIGNED_IN = {"Cookie": "theme=dark; funai_session=seven"}


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in lower case, several of a name joined by newlines."""

    status: int
    headers: dict[str, str]
    text: str


def ask(
    nginx: Nginx,
    path: str,
    *,
    method: str = "GET",
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Make one request, its path as it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=WAIT_SECONDS)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found: dict[str, str] = {}
    for name, value in answer.getheaders():
        known = found.get(name.lower())
        found[name.lower()] = value if known is None else f"{known}\n{value}"
    text = answer.read().decode()
    connection.close()
    return Answer(answer.status, found, text)


def ask_raw(nginx: Nginx, request: bytes) -> bytes:
    """Send bytes as they are and return the answer up to its end."""
    with socket.create_connection(("127.0.0.1", nginx.port), WAIT_SECONDS) as client:
        client.sendall(request)
        with client.makefile("rb") as answer:
            return answer.read()
