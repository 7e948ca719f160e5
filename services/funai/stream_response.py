"""An answer that begins before it has anything to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


class StreamResponse(Response):
    """A response whose headers do not wait for its first bytes, which may be long in coming."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as WSGI."""
        chunks, status, headers = self.get_wsgi_response(environ)
        try:
            start_response(status, headers)(b"")
        except BaseException:
            # The reader is gone already. The server closes what it was given, and it was given nothing.
            self.close()
            raise
        return chunks
