"""The page of guarantees shows what was measured."""

from __future__ import annotations

from tests.chaos import results, table
from tests.chaos.checker import CHECKS
from tests.chaos.defects import DEFECTS
from tests.chaos.parts import ROOT
from tests.chaos.series.__main__ import SERIES

PAGE = ROOT / "docs" / "guarantees.md"


def test_tables_are_those_of_the_committed_results() -> None:
    text = PAGE.read_text()

    assert table.page(text, results.FOLDER) == text, "run python -m tests.chaos --page"


def test_every_invariant_has_its_promise_on_the_page() -> None:
    before = PAGE.read_text().partition(table.BEGIN)[0]

    assert [code for code in CHECKS if f"| {code} |" not in before] == []


def test_committed_runs_kept_every_promise() -> None:
    runs = table.read_results(results.FOLDER)

    assert runs
    assert [run["tier"] for run in runs if not results.passed(run)] == []


def test_committed_series_kept_every_promise() -> None:
    series = table.read_series(results.FOLDER)

    assert series
    assert [one["name"] for one in series if not one["passed"]] == []


def test_page_has_a_place_for_every_series() -> None:
    assert tuple(one.name for one in SERIES) == table.SERIES_ORDER


def test_committed_proof_is_of_the_defects_of_now() -> None:
    proof = table.read_proof(results.FOLDER)

    assert {row["defect"] for row in proof} >= {defect.name for defect in DEFECTS}
    assert [row["defect"] for row in proof if not row["asExpected"]] == []
