from __future__ import annotations

from typing import Any

import pytest

from cli.figures import LISTED, Queue, read_queue
from cli.hosts import Disk, Look, Unit
from cli.inventory import Host
from cli.judgement import Standing, troubles

HOST = Host("api-01", ("api",), "192.0.2.1")
WELL = Look(HOST, (Unit("haproxy", "active", expected=True),), (Disk("/", 100, 50, 50),))
HEALTHY = {"name": "node-1", "runnerId": "runner-1", "health": "HEALTHY"}


def standing(**changed: Any) -> Standing:
    parts: dict[str, Any] = {
        "looks": [WELL],
        "nodes": [HEALTHY],
        "runners": [HEALTHY],
        "queue": Queue(0, 0),
    }
    return Standing(**{**parts, **changed})


def test_platform_without_trouble_is_well() -> None:
    assert troubles(standing()) == []


@pytest.mark.parametrize(
    ("changed", "about", "problem"),
    [
        pytest.param(
            {"looks": [Look(HOST, trouble="no SSH: refused")]}, "api-01", "no SSH", id="host away"
        ),
        pytest.param(
            {"looks": [Look(HOST, (Unit("haproxy", "failed", expected=True),))]},
            "api-01",
            "haproxy is failed",
            id="service",
        ),
        pytest.param(
            {"looks": [Look(HOST, (), (Disk("/", 100, 91, 9),))]}, "api-01", "9% free", id="disk"
        ),
        pytest.param({"deploy_problem": "no database"}, "Deploy", "no database", id="Deploy"),
        pytest.param(
            {"nodes": [HEALTHY, {"name": "node-2", "health": "STALE"}]},
            "node-2",
            "no heartbeat",
            id="stale node",
        ),
        pytest.param(
            {"nodes": [{"name": "node-2", "health": "DISABLED"}]}, "nodes", "none", id="no node"
        ),
        pytest.param({"runners": []}, "runners", "none", id="no runner"),
    ],
)
def test_each_trouble_is_named_with_what_to_do(
    changed: dict[str, Any], about: str, problem: str
) -> None:
    (found,) = troubles(standing(**changed))

    assert found.about == about
    assert problem in found.problem
    assert found.advice


def test_node_that_was_taken_out_and_runner_that_went_are_no_trouble() -> None:
    nodes = [HEALTHY, {"name": "node-2", "health": "DISABLED"}]
    runners = [HEALTHY, {"runnerId": "gone", "health": "STALE"}]

    assert troubles(standing(nodes=nodes, runners=runners)) == []


def job(number: int, status: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "status": status,
        "createdAt": f"2026-11-25T15:{number % 60:02d}:00Z",
    }


METRICS = """# TYPE funai_deploy_active_jobs gauge
funai_deploy_active_jobs{status="PENDING"} 250.0
funai_deploy_active_jobs{status="RUNNING"} 3.0
"""


def test_short_queue_is_counted_by_its_jobs() -> None:
    found = read_queue([job(3, "PENDING"), job(2, "RUNNING"), job(1, "PENDING")], METRICS)

    assert (found.waiting, found.running) == (2, 1)
    assert found.oldest is not None
    assert found.oldest["id"] == "1"


def test_long_queue_is_told_by_the_figures() -> None:
    found = read_queue([job(n, "PENDING") for n in range(LISTED)], METRICS)

    assert (found.waiting, found.running) == (250, 3)
