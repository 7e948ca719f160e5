#!/usr/bin/env python3
"""A small Flask app that works at /, and below any path that the platform gives it.

Environment: ``PORT``, where it listens (8080); ``BASE_PATH``, the path under which the public sees it, used where
a request does not say so itself; ``APP_COMMIT``, what it was built from.
"""

from __future__ import annotations

import os
import signal
import sys
import typing as t

import waitress
from flask import Flask, render_template_string

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

COMMIT = os.environ.get("APP_COMMIT", "")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>sample-python</title>
<style>body{font:16px/1.5 sans-serif;margin:4rem auto;max-width:36rem}</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>Built from commit <code>{{ commit or "unknown" }}</code>.</p>
<nav><a href="{{ url_for('home') }}">Home</a> <a href="{{ url_for('about') }}">About</a></nav>
</body>
</html>
"""


class BelowBasePath:
    """Tells the app where it is mounted, so that ``url_for`` makes links that work outside."""

    def __init__(self, app: WSGIApplication, base_path: str) -> None:
        self._app = app
        self._base_path = base_path

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX") or self._base_path
        prefix = prefix.rstrip("/")
        path = environ.get("PATH_INFO", "")
        # A gateway may have left the prefix in the path.
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        environ["SCRIPT_NAME"] = prefix
        return self._app(environ, start)


def create_app(base_path: str = "") -> Flask:
    """Return the app."""
    app = Flask(__name__)
    app.wsgi_app = BelowBasePath(app.wsgi_app, base_path)

    @app.get("/")
    def home() -> str:
        return render_template_string(PAGE, title="It works: sample-python", commit=COMMIT)

    @app.get("/about")
    def about() -> str:
        return render_template_string(PAGE, title="About sample-python", commit=COMMIT)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "commit": COMMIT}

    return app


def main() -> None:
    """Serve until SIGTERM."""
    # Process 1 of a container ends on a signal only where it says so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ.get("PORT", "8080"))
    app = create_app(os.environ.get("BASE_PATH", ""))
    waitress.serve(app, host="0.0.0.0", port=port)  # noqa: S104 - the whole container is the app's


if __name__ == "__main__":
    main()
