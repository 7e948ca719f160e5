"""How long the console's pages take on the server, and how large the first page is.

``python -m tests.bench.console_pages --rounds 40``. An API entry, a Deploy and a MariaDB of its own, on
loopback, with 1,000 apps of one user and 100,000 jobs. The time is what the API entry says of itself
(``Server-Timing``): its database, its calls to Deploy, and the page. The reference is its answer that asks
nobody anything.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import console_rows, results
from tests.bench.caller import BenchError
from tests.bench.console_rows import APPS, JOBS
from tests.integration.api.process import ApiProcess, run_api_command
from tests.integration.deploy_process import (
    DB_PASSWORD,
    DB_USER,
    DeployProcess,
    Schema,
    process_env,
    run_command,
)
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.process import Browser

SCHEMA = "bench_console"
REFERENCE = "/internal/health"
_NEWEST = f"job-{JOBS - console_rows.WAITING - console_rows.RUNNING - 7}"
_APP = "/console/apps/app-0500"
PAGES = {
    "apps": "/",
    "apps, a later page": "/?page=15",
    "apps, searched": "/?q=number+77",
    "app": _APP,
    "deploy form": f"{_APP}/deploy",
    "jobs of an app": f"{_APP}/jobs",
    "revisions": f"{_APP}/revisions",
    "settings": f"{_APP}/settings",
    "job": f"/console/jobs/{_NEWEST}",
    "state of a job": f"/console/jobs/{_NEWEST}/state.json",
    "queue": "/console/queue",
    "account": "/console/account",
}
FIRST_FILES = ("/static/console.css", "/static/console.js", "/static/icon.svg")
#: docs/benchmarks.md, "Targets".
P95_MS = 300.0
FIRST_PAGE_KB = 100.0
_DURATION = re.compile(r"app;dur=([0-9.]+)")
_WARM_ROUNDS = 2


@contextmanager
def running_console() -> Iterator[ApiProcess]:
    """Start a filled database, a Deploy and an API entry over it; end all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = MariaDb(folder)
        server.install()
        server.start()
        server.execute(
            f"CREATE USER '{DB_USER}'@'127.0.0.1' IDENTIFIED BY '{DB_PASSWORD}'",
            f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4",
            f"GRANT ALL ON {SCHEMA}.* TO '{DB_USER}'@'127.0.0.1'",
        )
        schema = Schema(server, SCHEMA)
        for done in (
            run_command(process_env(schema), "migrate"),
            run_api_command(schema, "migrate"),
        ):
            if done.returncode != 0:
                msg = f"the schema was not made:\n{done.stderr}"
                raise BenchError(msg)
        console_rows.fill(schema)
        deploy = DeployProcess(schema, folder / "deploy.log").start()
        api = ApiProcess(schema, deploy, folder / "api.log")
        api.add_accounts()
        try:
            api.start()
            yield api
        finally:
            api.stop()
            deploy.stop()
            server.stop()


def read(browser: Browser, path: str) -> tuple[float, int]:
    """Return the milliseconds that a page took on the server, and its bytes."""
    answer = browser.get(path)
    found = _DURATION.search(answer.headers.get("Server-Timing", ""))
    if answer.status_code != 200 or found is None:
        msg = f"{path} answered {answer.status_code}: {answer.text[:300]}"
        raise BenchError(msg)
    return float(found[1]), len(answer.content)


def measure(rounds: int) -> dict[str, Any]:
    """Open every page in turn, round by round."""
    times: dict[str, list[float]] = {name: [] for name in (*PAGES, REFERENCE)}
    sizes: dict[str, int] = {}
    with running_console() as api:
        browser = api.browser("bob")
        for number in range(rounds + _WARM_ROUNDS):
            for name, path in (*PAGES.items(), (REFERENCE, REFERENCE)):
                milliseconds, sizes[name] = read(browser, path)
                if number >= _WARM_ROUNDS:
                    times[name].append(milliseconds)
        first = sizes["apps"] + sum(len(browser.get(path).content) for path in FIRST_FILES)
    figures = {name: _figures(times[name], sizes[name]) for name in PAGES}
    reference = _figures(times[REFERENCE], sizes[REFERENCE])
    slowest = max(figures, key=lambda name: figures[name]["p95_ms"])
    return {
        "title": f"Pages of the console, {APPS:,} apps and {JOBS:,} jobs",
        "ours": figures,
        "reference": {"what": "an answer that asks nobody", **reference},
        "ratio": round(figures["apps"]["p50_ms"] / max(reference["p50_ms"], 0.1), 1),
        "rounds": rounds,
        "targets": [
            results.at_most(
                f"slowest page ({slowest}), p95", figures[slowest]["p95_ms"], P95_MS, "ms"
            ),
            results.at_most(
                "first page with its files", round(first / 1000, 1), FIRST_PAGE_KB, "KB"
            ),
        ],
    }


def _figures(times: list[float], size: int) -> dict[str, float]:
    return {
        "p50_ms": round(results.percentile(times, 0.5), 1),
        "p95_ms": round(results.percentile(times, 0.95), 1),
        "bytes": size,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("console_pages", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
