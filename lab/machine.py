"""What this machine does beside us."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
#: Of the first line's figures: waiting for nothing, waiting for a disk, stolen by the hypervisor.
_NOT_BUSY = (3, 4, 7)


def busy_seconds(stat: Path = _STAT) -> float:
    """Return for how long the cores have worked since the start, added up."""
    ticks = [int(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(ticks) - sum(ticks[place] for place in _NOT_BUSY)
    return busy / os.sysconf("SC_CLK_TCK")
