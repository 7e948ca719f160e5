"""Redeploy an app again and again under kept-alive load: no request may fail.

``python -m tests.bench.redeploy_under_load --rounds 20``. The load is wrk with GET and POST in
turn (``mixed_load.lua``). The reference is the same load on the same app while nothing is deployed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from tests.acceptance.live_platform import load_platform
from tests.bench import results
from tests.bench.caller import BenchError, Caller, wait_until

APP_ID = "bench-load"
CONNECTIONS = 16
#: Between two requests of one connection; 16 connections make up to 640 requests per second.
PAUSE_MILLISECONDS = 25
STEADY_SECONDS = 15
ROUTE_SECONDS = 15
#: Longer than any run; the load is ended by SIGINT, on which wrk prints its figures.
LOAD_SECONDS = 3600
#: docs/benchmarks.md, "Targets".
FAILED_LIMIT = 0
REQUESTS_PER_SECOND = 200.0

FAILURES = ("wrong", "status", "connect", "read", "write", "timeout")


class Load:
    """wrk on one app, from entering the block to leaving it."""

    def __init__(self, url: str, path: str) -> None:
        script = Path(__file__).with_name("mixed_load.lua")
        options = [f"-c{CONNECTIONS}", "-t1", f"-d{LOAD_SECONDS}s", "--timeout", "10s"]
        arguments = ["--", path, str(PAUSE_MILLISECONDS)]
        self._command = ["wrk", *options, "-s", str(script), url, *arguments]
        self.figures: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self.figures = read_figures(self._process.communicate(timeout=30)[0])


def read_figures(printed: str) -> dict[str, float]:
    """Return the figures of wrk's RESULT line.

    :raises BenchError: where there is none
    """
    for line in printed.splitlines():
        if line.startswith("RESULT "):
            pairs = (pair.split("=") for pair in line.split()[1:])
            return {name: float(value) for name, value in pairs}
    msg = f"wrk printed no result: {printed[-500:]}"
    raise BenchError(msg)


def measure(rounds: int) -> dict[str, Any]:
    """Run the load alone, then with redeploys, and return what was measured."""
    platform = load_platform()
    with Caller(platform, APP_ID) as caller:
        for image in caller.images:
            caller.deploy(image)
        # A deploy has succeeded once the node serves it; the edge follows the route table.
        wait_until(lambda: caller.release() is not None, ROUTE_SECONDS, caller.public_url)
        path = f"/apps/{APP_ID}/"
        with Load(platform.edge_url, path) as steady:
            threading.Event().wait(STEADY_SECONDS)
        with Load(platform.edge_url, path) as loaded:
            for number in range(rounds):
                caller.deploy(caller.images[number % 2])
    return report(loaded.figures, steady.figures, rounds)


def report(ours: dict[str, float], steady: dict[str, float], rounds: int) -> dict[str, Any]:
    """Return the result's own part."""
    failed = sum(ours[name] for name in FAILURES)
    rate = round(ours["requests"] / ours["seconds"], 1)
    return {
        "title": f"{rounds} redeploys under load",
        "ours": {**ours, "failed": failed, "requests_per_second": rate},
        "reference": {"what": "the same load while nothing is deployed", **steady},
        "ratio": round(ours["p99_ms"] / steady["p99_ms"], 2),
        "rounds": rounds,
        "targets": [
            results.at_most("failed requests", failed, FAILED_LIMIT, "requests"),
            results.at_least("load", rate, REQUESTS_PER_SECOND, "requests/s"),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("redeploy_under_load", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
