"""The page of guarantees shows what was measured."""

from __future__ import annotations

from tests.chaos import results, table
from tests.chaos.checker import CHECKS
from tests.chaos.cluster import ROOT
from tests.chaos.defects import DEFECTS

PAGE = ROOT / "docs" / "guarantees.md"


def test_tables_are_those_of_the_committed_results() -> None:
    text = PAGE.read_text()

    made = table.page(text, table.read_results(results.FOLDER), table.read_proof(results.FOLDER))
    assert made == text, "run python -m tests.chaos --page"


def test_every_invariant_has_its_promise_on_the_page() -> None:
    before = PAGE.read_text().partition(table.BEGIN)[0]

    assert [code for code in CHECKS if f"| {code} |" not in before] == []


def test_committed_runs_kept_every_promise() -> None:
    runs = table.read_results(results.FOLDER)

    assert runs
    assert [run["tier"] for run in runs if not results.passed(run)] == []


def test_committed_proof_is_of_the_defects_of_now() -> None:
    proof = table.read_proof(results.FOLDER)

    assert {row["defect"] for row in proof} >= {defect.name for defect in DEFECTS}
    assert [row["defect"] for row in proof if not row["asExpected"]] == []
