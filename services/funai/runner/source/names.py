"""Names inside archives. Pure."""

from __future__ import annotations

import re

from funai.contract.ids import shown
from funai.runner.steps.step import StepError

MAX_NAME = 4096
_NEVER = re.compile(r"[\x00-\x1f\x7f\\]")


def inner_name(raw: str) -> str:
    """Return a member's path below the archive's root; empty for the root itself.

    :raises StepError: ``ARCHIVE_UNSAFE`` for a name that points elsewhere
    """
    parts = [part for part in raw.split("/") if part not in {"", "."}]
    if raw.startswith("/") or ".." in parts:
        raise unsafe(raw, "lies outside of it")
    if _NEVER.search(raw) or len(raw) > MAX_NAME:
        raise unsafe(raw, "is no name of a file")
    return "/".join(parts)


def unsafe(name: str, what: str) -> StepError:
    """Return the error for an archive that nobody makes by accident."""
    sentence = (
        f"The archive holds {shown(name)}, which {what}. Nothing of it was used. Export it again, then"
        " deploy again."
    )
    return StepError(reason="ARCHIVE_UNSAFE", sentence=sentence)
