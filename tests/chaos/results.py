"""A run's outcome as a file, from which the pages are made."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.chaos.checker import CHECKS
from tests.chaos.faults import KINDS

if TYPE_CHECKING:
    from tests.chaos.run import Outcome

FOLDER = Path(__file__).parent / "results"


def as_json(outcome: Outcome, tier: str, load_before: float) -> dict[str, Any]:
    """Return everything that a reader needs to judge the run, and to repeat it."""
    options = outcome.options
    return {
        "tier": tier,
        "seed": options.seed,
        "jobs": options.jobs,
        "apps": options.apps,
        "statuses": outcome.statuses,
        "inDoubt": outcome.in_doubt,
        "seconds": round(outcome.seconds, 1),
        "machine": machine(),
        "loadBefore": round(load_before, 2),
        "loadAfter": round(os.getloadavg()[0], 2),
        "faults": [
            {
                "code": kind.code,
                "fault": kind.text,
                "tries": kind.tries,
                "injected": outcome.injected.get(kind.code, 0),
                "violations": outcome.blamed.get(kind.code, 0),
            }
            for kind in KINDS
        ],
        "invariants": [
            {
                "code": code,
                "promise": promise,
                "violations": sum(found.invariant == code for found in outcome.violations),
            }
            for code, (promise, _) in CHECKS.items()
        ],
        "stale": [asdict(one) for one in outcome.stale],
        "violations": [f"{found.invariant}: {found.text}" for found in outcome.violations[:50]],
        "incomplete": outcome.incomplete,
    }


def machine() -> str:
    gib = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} CPUs, {gib:.0f} GiB, {platform.system()} {platform.release()}"


def write(result: dict[str, Any]) -> Path:
    """Write the result in place of the tier's last one."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{result['tier']}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def passed(result: dict[str, Any]) -> bool:
    """Tell whether every promise was kept, and whether the run was long enough to say so."""
    kept = not any(row["violations"] for row in result["invariants"]) and not result["incomplete"]
    refused = all(row["refused"] == row["sent"] and not row["changed"] for row in result["stale"])
    return kept and refused
