"""An app's release: the word by which its answers say which revision gave them. Pure."""

from __future__ import annotations

import re

_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COMMIT_CHARS = 12


def release_of(revision: int, commit_sha: str | None = None) -> str:
    """Return the release of a revision: ``r7``, or with the commit ``r7-0123456789ab``."""
    return f"r{revision}-{commit_sha[:_COMMIT_CHARS]}" if commit_sha else f"r{revision}"


def is_release(text: str) -> bool:
    """Tell whether the text may go into a header and a route."""
    return _RULE.fullmatch(text) is not None
