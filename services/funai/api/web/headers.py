"""What browsers are told of every answer, so that a page stays ours and is not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from flask import Flask, Response


def policy(*forms_to: str) -> str:
    """Return the policy: everything comes from our own origin, and nothing runs that is not a file of ours.

    :param forms_to: origins beside ours that a form may lead to; a redirect of its answer counts
    """
    targets = " ".join(["'self'", *forms_to])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        f" connect-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


POLICY = policy()
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def install(app: Flask) -> None:
    """Add the headers to every answer; a view may have set its own."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/static/") and response.status_code == 200:  # noqa: PLR2004 - HTTP
        response.headers["Cache-Control"] = "public, max-age=3600"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response
