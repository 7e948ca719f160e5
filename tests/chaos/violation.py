"""One breach of an invariant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """What was promised, and what was seen instead."""

    invariant: str
    text: str
    #: When it shows in the history; infinity for what only shows in the end.
    t: float = float("inf")
