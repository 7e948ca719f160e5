"""Benchmarks as tests, for ``./dev test bench``; FUNAI_BENCH_QUICK=1 runs fewer rounds.

``retention``, which builds for minutes, is for hands (docs/benchmarks.md).
"""

from __future__ import annotations

import os

import pytest

from tests.bench import (
    build_job,
    console_pages,
    deploy_latency,
    job_logs,
    redeploy_under_load,
    resident_memory,
    rollback,
    runner_execution,
)

QUICK = os.environ.get("FUNAI_BENCH_QUICK") == "1"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("bench", "rounds", "quick_rounds"),
    [
        pytest.param(runner_execution, 10, 3, id="runner execution"),
        pytest.param(resident_memory, 5, 1, id="resident memory"),
        pytest.param(deploy_latency, 30, 5, id="deploy latency"),
        pytest.param(redeploy_under_load, 20, 3, id="redeploy under load"),
        pytest.param(rollback, 20, 4, id="rollback"),
        pytest.param(build_job, 10, 3, id="build job"),
        pytest.param(console_pages, 40, 5, id="console pages"),
        # A million lines show no more than these do, but for a minute longer: by hand.
        pytest.param(job_logs, 250, 50, id="job logs"),
    ],
)
def test_targets_are_met(bench: object, rounds: int, quick_rounds: int) -> None:
    main = getattr(bench, "main")  # noqa: B009 -- each of these modules has one
    assert main(["--rounds", str(quick_rounds if QUICK else rounds)]) == 0
