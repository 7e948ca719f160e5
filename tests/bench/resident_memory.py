"""Memory that the services keep while nothing is deployed: all processes of each unit.

``python -m tests.bench.resident_memory --rounds 5``. Resident memory counts pages that processes
share once per process; the proportional figure beside it counts them once.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from typing import Any

from tests.acceptance.live_platform import Platform, load_platform
from tests.bench import results
from tests.bench.remote import MEMORY, RemoteProgram

#: MB of resident memory by group and unit; docs/benchmarks.md, "Targets".
LIMITS_MB = {
    ("deploy", "funai-deploy"): 120.0,
    ("runtime", "funai-runtime-agent"): 60.0,
    ("runner", "funai-runner"): 120.0,
}
PAUSE_SECONDS = 2
KIB_PER_MB = 1_000_000 / 1024


def read_memory(platform: Platform, group: str, unit: str) -> dict[str, float]:
    """Return processes, resident and proportional MB of the unit on the group's first host."""
    host = next(iter(platform.hosts[group]))
    with RemoteProgram(platform, host, MEMORY, unit) as program:
        _, processes, resident, proportional = program.read().split()
    return {
        "processes": int(processes),
        "resident_mb": round(int(resident) / KIB_PER_MB, 1),
        "proportional_mb": round(int(proportional) / KIB_PER_MB, 1),
    }


def measure(rounds: int) -> dict[str, Any]:
    """Read each unit's memory and return the highest of the rounds."""
    platform = load_platform()
    seen: dict[str, dict[str, float]] = {}
    for number in range(rounds):
        for group, unit in LIMITS_MB:
            reading = read_memory(platform, group, unit)
            highest = seen.get(unit)
            if highest is None or reading["resident_mb"] > highest["resident_mb"]:
                seen[unit] = reading
        if number + 1 < rounds:
            threading.Event().wait(PAUSE_SECONDS)
    total = sum(reading["resident_mb"] for reading in seen.values())
    limit = sum(LIMITS_MB.values())
    return {
        "title": "Resident memory of the idle services",
        "ours": seen,
        "reference": {"what": "the limits added up", "resident_mb": limit},
        "ratio": round(total / limit, 2),
        "rounds": rounds,
        "targets": [
            {**results.at_most(unit, seen[unit]["resident_mb"], most, "MB"), "detail": seen[unit]}
            for (_, unit), most in LIMITS_MB.items()
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("resident_memory", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
