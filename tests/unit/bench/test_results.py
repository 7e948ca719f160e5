"""Figures and tables of the benchmarks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench import build_job, deploy_latency, redeploy_under_load, results, rollback, tables

VALUES = [float(number) for number in range(1, 21)]


def test_percentile_is_a_value_that_was_measured() -> None:
    assert results.percentile(VALUES, 0.95) == 19.0
    assert results.percentile([7.0], 0.95) == 7.0


@pytest.mark.parametrize(
    ("measured", "met"), [pytest.param(2.9, True, id="below"), pytest.param(3.1, False, id="above")]
)
def test_target_says_whether_it_was_met(*, measured: float, met: bool) -> None:
    assert results.at_most("p50", measured, 3, "s")["met"] is met
    assert results.at_least("rate", measured, 3, "1/s")["met"] is not met


def test_latency_report_sets_ours_beside_the_reference() -> None:
    report = deploy_latency.report([2.0, 2.0, 4.0], [0.010, 0.020, 0.030], [1.0, 1.0, 1.0])

    assert report["ratio"] == 2.0
    assert report["ours"]["claim_p50_milliseconds"] == 20.0
    assert [row["met"] for row in report["targets"]] == [True, True, True]


def test_claim_is_timed_by_the_first_claim() -> None:
    events = [
        {"toStatus": "PENDING", "at": "2026-01-01T00:00:00.000Z"},
        {"toStatus": "RUNNING", "at": "2026-01-01T00:00:00.040Z"},
        {"toStatus": "RUNNING", "at": "2026-01-01T00:00:09.000Z"},
    ]

    assert deploy_latency.claim_seconds(events) == pytest.approx(0.040)


def test_one_failed_request_misses_the_target() -> None:
    steady = {"p99_ms": 2.0}
    figures = dict.fromkeys(redeploy_under_load.FAILURES, 0.0)
    ours = {**figures, "read": 1.0, "requests": 4000.0, "seconds": 10.0, "p99_ms": 4.0}

    report = redeploy_under_load.report(ours, steady, 20)

    assert [row["met"] for row in report["targets"]] == [False, True]


def test_rollback_is_measured_against_one_without_a_warm_container() -> None:
    load = {**dict.fromkeys(redeploy_under_load.FAILURES, 0.0), "requests": 4000.0}

    report = rollback.report([0.5, 0.5, 2.5], [2.0, 2.0, 2.0], load)

    assert report["ratio"] == 0.25
    assert [row["met"] for row in report["targets"]] == [False, True, True]


def test_build_may_take_two_seconds_more_than_the_script() -> None:
    parts = [{"build": 3.0, "push": 0.5}]

    reports = [build_job.report([ours], [3.0], parts) for ours in (5.0, 5.1)]

    assert [report["targets"][0]["met"] for report in reports] == [True, False]
    assert reports[0]["ours"]["phases, p50"] == {"build_seconds": 3.0, "push_seconds": 0.5}


def test_phases_of_a_build_are_those_that_the_runner_reported() -> None:
    result = {"phases": [{"phase": "BUILD", "seconds": 1.5}]}
    events: list[dict[str, Any]] = [{"detail": None}, {"detail": {"result": result}}]

    assert build_job.phases(events) == {"build": 1.5}


def test_figures_of_wrk_are_read_from_its_line() -> None:
    printed = "Running 10s test\nRESULT requests=12 wrong=0 p50_ms=1.50\n"

    assert redeploy_under_load.read_figures(printed) == {
        "requests": 12.0,
        "wrong": 0.0,
        "p50_ms": 1.5,
    }


def test_tables_show_figures_with_their_units() -> None:
    values: dict[str, Any] = {"p50_seconds": 1.25, "requests": 12.0, "claim_p50_milliseconds": 20.0}

    assert tables.figures(values) == "p50 1.25 s, requests 12, claim p50 20 ms"
