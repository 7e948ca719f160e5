"""Stands in for the API entry: the session of a user is the user's number."""

from __future__ import annotations

import os
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, HTTPServer

TOKEN = os.environ["TOKEN"]


class Access(BaseHTTPRequestHandler):
    """Answers 204, 401 or 403, or 500 where the caller does not show the token."""

    def do_GET(self) -> None:
        """Say whether the session may see the preview."""
        session = SimpleCookie(self.headers["Cookie"]).get("funai_session")
        if self.path != "/internal/preview-access" or self.headers["X-Preview-Token"] != TOKEN:
            status = 500
        elif session is None:
            status = 401
        else:
            status = 204 if session.value == self.headers["X-Preview-User"] else 403
        self.send_response(status)
        self.end_headers()


HTTPServer(("127.0.0.1", 7003), Access).serve_forever()
