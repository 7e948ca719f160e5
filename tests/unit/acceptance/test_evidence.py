"""The acceptance table, and what it takes from the communication matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.evidence import SHOWN, Ledger
from tests.acceptance.live_platform import Flow

if TYPE_CHECKING:
    from pathlib import Path

FLOW = Flow("database", ("deploy",), "api", 3306, "tcp", "database account", ())


def test_one_failed_check_fails_its_point_and_is_shown() -> None:
    ledger = Ledger()
    point = ledger.point("Node is online")
    point.passed = 2
    point.evidence.append("runtime-01: HEALTHY")
    point.failures.append("test_x: runtime-02 is STALE")

    table = "\n".join(ledger.table())

    assert point.verdict == "FAIL"
    assert "2/3" in table
    assert "runtime-02 is STALE" in table


def test_point_of_which_no_check_ran_is_skipped_with_its_reason() -> None:
    ledger = Ledger()
    ledger.point("Workspace off").skip_reasons.append("only the lab runs it")

    assert ledger.points[0].verdict == "skipped"
    assert "only the lab runs it" in "\n".join(ledger.table())


def test_table_is_short_and_the_file_is_complete(tmp_path: Path) -> None:
    ledger = Ledger()
    point = ledger.point("Headers")
    point.passed = 1
    point.evidence += [f"row {number}" for number in range(SHOWN + 3)]

    ledger.write(tmp_path / "acceptance.json")

    assert "and 3 more" in "\n".join(ledger.table())
    assert len(json.loads((tmp_path / "acceptance.json").read_text())[0]["evidence"]) == SHOWN + 3


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        pytest.param("deploy", "api", 3306, True, id="listed"),
        pytest.param("runner", "api", 3306, False, id="other source"),
        pytest.param("deploy", "runtime", 3306, False, id="other target"),
        pytest.param("deploy", "api", 22, False, id="other port"),
    ],
)
def test_flow_allows_what_it_lists(source: str, target: str, port: int, *, allowed: bool) -> None:
    assert FLOW.allows(source, target, port) is allowed


def test_anyone_and_all_mean_every_group() -> None:
    ssh = Flow("ssh", ("operator",), "all", 22, "tcp", "ssh key", ())
    edge = Flow("edge", ("anyone",), "api", 80, "tcp", "none", ())

    assert ssh.allows("operator", "forge", 22)
    assert edge.allows("runtime", "api", 80)
