"""Files that benchmarks leave: what was measured, against what, where and on what."""

from __future__ import annotations

import json
import math
import os
import platform as machine
import statistics
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[2]


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that ``share`` (0..1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def summary(values: list[float]) -> dict[str, float]:
    """Return the figures of a series of durations, in seconds."""
    return {
        "p50_seconds": round(statistics.median(values), 4),
        "p95_seconds": round(percentile(values, 0.95), 4),
        "min_seconds": round(min(values), 4),
        "max_seconds": round(max(values), 4),
    }


def describe_machine() -> dict[str, Any]:
    """Return what the numbers were measured on; no names of hosts."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else machine.machine(),
        "memory_gib": round(pages * size / 2**30, 1),
        "kernel": machine.release(),
    }


def describe_versions() -> dict[str, str]:
    """Return the versions that matter to the numbers."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],  # noqa: S607 -- from PATH
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip() or "unknown",
        "python": machine.python_version(),
        "ansible-core": version("ansible-core"),
    }


def write(name: str, measured: dict[str, Any], load_before: tuple[float, float, float]) -> bool:
    """Write the result and say where it is; return whether every target was met.

    :param measured: with ``targets``, rows of {name, measured, limit, unit, met}
    :param load_before: the machine's load averages when the benchmark began
    """
    result = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **measured,
        "machine": describe_machine(),
        "load": {"before": load_before, "after": os.getloadavg()},
        "versions": describe_versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    for row in measured["targets"]:
        verdict = "met" if row["met"] else "MISSED"
        print(f"{row['name']}: {row['measured']} {row['unit']} ({row['limit']}): {verdict}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201
    return all(row["met"] for row in measured["targets"])


def at_most(name: str, measured: float, limit: float, unit: str) -> dict[str, Any]:
    """Return a target's row: the measured value may not exceed the limit."""
    return target(name, measured, f"at most {limit:g}", unit, met=measured <= limit)


def at_least(name: str, measured: float, limit: float, unit: str) -> dict[str, Any]:
    """Return a target's row: the measured value has to reach the limit."""
    return target(name, measured, f"at least {limit:g}", unit, met=measured >= limit)


def target(name: str, measured: float, limit: str, unit: str, *, met: bool) -> dict[str, Any]:
    """Return a target's row."""
    return {"name": name, "measured": measured, "limit": limit, "unit": unit, "met": met}
