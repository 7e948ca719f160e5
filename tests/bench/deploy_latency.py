"""How long from creating a job to its image at the public URL, beside a bare ``docker run``.

``python -m tests.bench.deploy_latency --rounds 30``. Both images are on the node before the
first round. The rounds of ours and of the reference alternate, so that both see the same load.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from datetime import datetime
from typing import Any

from tests.acceptance.live_platform import load_platform
from tests.bench import results
from tests.bench.caller import JOB_SECONDS, Caller, wait_until
from tests.bench.remote import FIRST_ANSWER, RemoteProgram

APP_ID = "bench-latency"
#: docs/benchmarks.md, "Targets".
P50_SECONDS = 3.0
P95_SECONDS = 5.0
CLAIM_P50_MILLISECONDS = 50.0


def one_deploy(caller: Caller, image: str) -> tuple[float, float]:
    """Deploy an image; return seconds to its first answer at the URL, and to its claim."""
    expected = image.rsplit(":", 1)[1]
    started = time.monotonic()
    job_id = caller.create(image)
    wait_until(lambda: caller.release() == expected, JOB_SECONDS, f"release {expected} at the URL")
    served = time.monotonic() - started
    caller.wait_for_end(job_id)
    return served, claim_seconds(caller.events(job_id))


def claim_seconds(events: list[dict[str, Any]]) -> float:
    """Return the seconds between a job's creation and its first claim, by Deploy's own record."""
    at = {event["toStatus"]: moment(event["at"]) for event in reversed(events)}
    return (at["RUNNING"] - at["PENDING"]).total_seconds()


def moment(text: str) -> datetime:
    """Read a time of the wire."""
    return datetime.fromisoformat(text)


def measure(rounds: int) -> dict[str, Any]:
    """Run the rounds and return what was measured."""
    platform = load_platform()
    served, claimed, reference = [], [], []
    with Caller(platform, APP_ID) as caller:
        # Pull both before the first round, and end on the one that the first round replaces.
        node = [caller.deploy(image)["runtimeNode"] for image in caller.images][-1]
        host = host_of(platform.hosts["runtime"], node)
        port = platform.settings["acceptance_container_port"]
        with RemoteProgram(platform, host, FIRST_ANSWER) as bare:
            for number in range(rounds):
                image = caller.images[number % 2]
                reference.append(float(bare.ask(f"{image} {port}")))
                seconds, claim = one_deploy(caller, image)
                served.append(seconds)
                claimed.append(claim)
    return report(served, claimed, reference)


def host_of(hosts: dict[str, str], node: dict[str, Any]) -> str:
    """Return the inventory name of the host that is that node."""
    return next(name for name, address in hosts.items() if address in node["agentBaseUrl"])


def report(served: list[float], claimed: list[float], reference: list[float]) -> dict[str, Any]:
    """Return the result's own part."""
    ours, bare = results.summary(served), results.summary(reference)
    claim_milliseconds = round(statistics.median(claimed) * 1000, 1)
    return {
        "title": "Create a job, URL serves the new image",
        "ours": {**ours, "claim_p50_milliseconds": claim_milliseconds},
        "reference": {"what": "docker run and first 200 of the same image, on the node", **bare},
        "ratio": round(ours["p50_seconds"] / bare["p50_seconds"], 2),
        "rounds": len(served),
        "targets": [
            results.at_most("create to URL, p50", ours["p50_seconds"], P50_SECONDS, "s"),
            results.at_most("create to URL, p95", ours["p95_seconds"], P95_SECONDS, "s"),
            results.at_most(
                "create to claim, p50", claim_milliseconds, CLAIM_P50_MILLISECONDS, "ms"
            ),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("deploy_latency", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
