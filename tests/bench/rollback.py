"""How long a rollback takes until every answer at the public URL comes from the older revision.

``python -m tests.bench.rollback --rounds 20``. A warm round goes back to the container that the
last job replaced. Before a cold round the running image is deployed once more, so that the warm
container is not the one to go back to and a new one has to start; nothing is built or pulled.
Both run under kept-alive load, of which no request may fail.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import requests

from tests.acceptance.live_platform import load_platform
from tests.bench import results
from tests.bench.caller import JOB_SECONDS, TIMEOUT, BenchError, Caller, wait_until
from tests.bench.redeploy_under_load import FAILURES, ROUTE_SECONDS, Load

APP_ID = "bench-rollback"
RELEASE_HEADER = "X-App-Release"
#: Answers in a row that all have to come from the older revision once the first one did.
STEADY_ANSWERS = 20
#: docs/benchmarks.md, "Targets".
WARM_P95_SECONDS = 1.0
COLD_P95_SECONDS = 4.0
FAILED_LIMIT = 0


class RollbackCaller(Caller):
    """Goes back to revisions, and sees which one answers."""

    def revision(self) -> int:
        """Return the number of the revision that is active."""
        app = self._call("GET", f"/deploy/apps/{self.app_id}")
        return int(app["revision"]["number"])

    def roll_back(self, revision: int) -> str:
        """Create the job that goes back to a revision; return its id."""
        path = f"/deploy/apps/{self.app_id}/rollback"
        return str(self._call("POST", path, {"revision": revision})["id"])

    def serves(self, revision: int) -> bool:
        """Return whether the public URL's answer is the revision's."""
        answer = self._public.get(self.public_url, timeout=TIMEOUT)
        release = answer.headers.get(RELEASE_HEADER, "")
        is_its_own = release.partition("-")[0] == f"r{revision}"
        return answer.status_code == requests.codes.ok and is_its_own


def one_rollback(caller: RollbackCaller, revision: int) -> float:
    """Go back to a revision; return the seconds until all answers are its own.

    :raises BenchError: where another revision answers once more after that
    """
    started = time.monotonic()
    job_id = caller.roll_back(revision)
    what = f"revision {revision} at the URL"
    wait_until(lambda: caller.serves(revision), JOB_SECONDS, what)
    seconds = time.monotonic() - started
    if not all(caller.serves(revision) for _ in range(STEADY_ANSWERS)):
        msg = f"{what}: another one answered after it"
        raise BenchError(msg)
    caller.wait_for_end(job_id)
    return seconds


def warm_rounds(caller: RollbackCaller, revisions: list[int], rounds: int) -> list[float]:
    """Go to and fro between two revisions, of which the second is active."""
    return [one_rollback(caller, revisions[number % 2]) for number in range(rounds)]


def cold_rounds(caller: RollbackCaller, revisions: list[int], rounds: int) -> list[float]:
    """Go back past a revision of the running image, each time."""
    seconds = []
    for number in range(rounds):
        there, here = revisions[number % 2], caller.images[(number + 1) % 2]
        caller.deploy(here)
        seconds.append(one_rollback(caller, there))
    return seconds


def measure(rounds: int) -> dict[str, Any]:
    """Run the rounds under load and return what was measured."""
    # To and fro: after an even number the second revision is active again.
    rounds += rounds % 2
    platform = load_platform()
    with RollbackCaller(platform, APP_ID) as caller:
        revisions = []
        for image in caller.images:
            caller.deploy(image)
            revisions.append(caller.revision())
        wait_until(lambda: caller.release() is not None, ROUTE_SECONDS, caller.public_url)
        with Load(platform.edge_url, f"/apps/{APP_ID}/") as load:
            warm = warm_rounds(caller, revisions, rounds)
            cold = cold_rounds(caller, revisions, rounds)
    return report(warm, cold, load.figures)


def report(warm: list[float], cold: list[float], load: dict[str, float]) -> dict[str, Any]:
    """Return the result's own part."""
    ours, reference = results.summary(warm), results.summary(cold)
    failed = sum(load[name] for name in FAILURES)
    return {
        "title": "Roll back, every answer is the older revision's",
        "ours": {**ours, "requests": load["requests"], "failed": failed},
        "reference": {"what": "the same where the container has to start", **reference},
        "ratio": round(ours["p50_seconds"] / reference["p50_seconds"], 2),
        "rounds": len(warm),
        "targets": [
            results.at_most("warm rollback, p95", ours["p95_seconds"], WARM_P95_SECONDS, "s"),
            results.at_most("cold rollback, p95", reference["p95_seconds"], COLD_P95_SECONDS, "s"),
            results.at_most("failed requests", failed, FAILED_LIMIT, "requests"),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("rollback", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
