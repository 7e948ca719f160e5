"""Which of a proxy's words are believed: those of the edge, which speaks over loopback."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")


class FromEdge:
    """Believes ``X-Forwarded-For`` and ``-Proto`` of a peer on loopback, and of nobody else."""

    def __init__(self, app: WSGIApplication) -> None:
        self._plain = app
        self._believing = ProxyFix(app, x_for=1, x_proto=1, x_host=0, x_prefix=0)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as WSGI."""
        if _is_loopback(environ.get("REMOTE_ADDR", "")):
            return self._believing(environ, start_response)
        for name in _FORWARDED:
            environ.pop(name, None)
        return self._plain(environ, start_response)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A UNIX socket has no address; only the edge has the right to open it.
        return not address
