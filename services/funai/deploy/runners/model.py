"""A runner as Deploy saw it last. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: Runners claim at least twice a minute while they have a free slot, and send heartbeats otherwise.
STALE_SECONDS = 90
#: A runner that was not seen for so long leaves the list.
FORGET_DAYS = 30


@dataclass(frozen=True)
class Runner:
    """A runner's row."""

    runner_id: str
    last_seen_at: datetime
    fresh: bool
