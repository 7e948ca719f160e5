"""Kill the agent at every point of a deploy, under load: ``python -m tests.chaos.agent_crash``.

``--rounds 20 --seed 1``: so often per point, in an order that the seed decides. Prints a table, writes
``results/agent_crash.json``, and ends with status 1 where something did not hold: a request failed, an
old version answered after the new one, a restart left something or took longer than it may.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.results import describe_machine, percentile
from tests.chaos.agent_crash_load import Load
from tests.chaos.agent_crash_points import POINTS
from tests.chaos.agent_crash_round import APP_ID, RECONCILED_SECONDS, Crashes, CrashingNode
from tests.integration.runtime_agent import images
from tests.integration.runtime_agent.rig import NETWORK, SUBNET, FakeDeploy, Haproxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.api.client import APIClient

    from tests.chaos.agent_crash_round import Round

RESULT = Path(__file__).parent / "results" / "agent_crash.json"
_COLUMNS = ("point", "rounds", "old", "new", "p95 s", "orphans", "violations")


@contextmanager
def crashing_node(engine: APIClient, folder: Path) -> Iterator[Crashes]:
    """Yield a node with one app that is asked all the time; nothing of it stays."""
    name = f"crash-{os.getpid()}"
    repository = f"{images.NO_REGISTRY}/funai-crash-{os.getpid()}/app"
    for part in ("g", "agent"):
        (folder / part).mkdir()
    with ExitStack() as stack:
        references = images.build(engine, repository)
        stack.callback(_remove_images, engine, references)
        stack.callback(_remove_containers, engine, name)
        gateway, deploy = Haproxy(folder / "g", [SUBNET]), FakeDeploy()
        stack.callback(gateway.kill)
        stack.callback(deploy.close)
        node = CrashingNode(folder / "agent", name, gateway, deploy)
        stack.callback(node.kill)
        node.start()
        load = Load(gateway.port, APP_ID)
        crashes = Crashes(node, engine, repository, load)
        crashes.first_deploy()
        stack.enter_context(load)
        yield crashes


def _remove_images(engine: APIClient, references: list[str]) -> None:
    for reference in references:
        engine.remove_image(reference, force=True)


def _remove_containers(engine: APIClient, node: str) -> None:
    for found in engine.containers(all=True, filters={"label": f"io.funai.node={node}"}):
        engine.remove_container(found["Id"], force=True, v=True)


def run(rounds: int, seed: int) -> dict[str, list[Round]]:
    """Return what each point showed."""
    engine = images.connect()
    order = [point for point in POINTS for _ in range(rounds)]
    random.Random(seed).shuffle(order)  # noqa: S311 - an order, no secret
    found: dict[str, list[Round]] = {point.name: [] for point in POINTS}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="crash") as folder,
            crashing_node(engine, Path(folder)) as crashes,
        ):
            for point in order:
                found[point.name].append(crashes.run(point))
        images.remove_network(engine, NETWORK)
    finally:
        engine.close()
    return found


def rows_of(found: dict[str, list[Round]]) -> list[dict[str, Any]]:
    """Return one row per point."""
    return [
        {
            "point": name,
            "rounds": len(rounds),
            "old": sum(entry.old for entry in rounds),
            "new": sum(entry.new for entry in rounds),
            "p95 s": round(percentile([entry.reconciled_seconds for entry in rounds], 0.95), 2),
            "orphans": sum(entry.orphans for entry in rounds),
            "violations": [text for entry in rounds for text in entry.violations],
        }
        for name, rounds in found.items()
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [" | ".join(_COLUMNS), "|".join("---" for _ in _COLUMNS)]
    for row in rows:
        cells = {**row, "violations": len(row["violations"])}
        lines.append(" | ".join(str(cells[column]) for column in _COLUMNS))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> int:
    """Run, print, write; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = rows_of(run(given.rounds, given.seed))
    print(table(rows))  # noqa: T201
    for row in rows:
        for violation in row["violations"]:
            print(f"{row['point']}: {violation}")  # noqa: T201
    violations = sum(len(row["violations"]) for row in rows)
    result = {
        "name": "agent_crash",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": given.rounds,
        "seed": given.seed,
        "limit_seconds": RECONCILED_SECONDS,
        "violations": violations,
        "points": rows,
        "machine": describe_machine(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{violations} violations; written to {RESULT}")  # noqa: T201
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
