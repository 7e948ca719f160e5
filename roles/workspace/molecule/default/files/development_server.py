"""User 7's development server: says what it was asked."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer


class Echo(BaseHTTPRequestHandler):
    """Answers with path, prefix and cookies."""

    def do_GET(self) -> None:
        """Tell what was asked."""
        parts = (self.path, self.headers["X-Forwarded-Prefix"], self.headers["Cookie"])
        body = " ".join(str(part) for part in parts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("127.0.0.1", 20007), Echo).serve_forever()
