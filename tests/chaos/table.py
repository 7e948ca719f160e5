"""The table at the end of a run, and the same in the page of guarantees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN = "<!-- Made by `python -m tests.chaos --page` from tests/chaos/results; do not edit. -->"
END = "<!-- end -->"


def text(result: dict[str, Any]) -> list[str]:
    """Return the lines for a terminal."""
    lines = grid(("fault", "", "tries", "injected", "violations"), _fault_rows(result))
    lines += ["", *grid(("invariant", "", "violations"), _invariant_rows(result))]
    if result["stale"]:
        lines += ["", *grid(("stale actor", "sent", "refused", "changed"), _stale_rows(result))]
    lines += ["", summary(result)]
    lines += [f"  VIOLATED {one}" for one in result["violations"]]
    lines += [f"  INCOMPLETE {one}" for one in result["incomplete"][:20]]
    return lines


def summary(result: dict[str, Any]) -> str:
    """Return the run in one sentence."""
    statuses = ", ".join(
        f"{count} {status}" for status, count in sorted(result["statuses"].items())
    )
    kinds = sum(row["injected"] > 0 for row in result["faults"])
    total = sum(row["injected"] for row in result["faults"])
    broken = sum(row["violations"] for row in result["invariants"])
    return (
        f"{result['jobs']} jobs of {result['apps']} apps ({statuses}), {total} faults of {kinds}"
        f" kinds, {broken} violations, {result['inDoubt']} apps in doubt; seed {result['seed']},"
        f" {result['seconds']:.0f} s on {result['machine']},"
        f" load {result['loadBefore']} before and {result['loadAfter']} after"
    )


def page_section(result: dict[str, Any]) -> str:
    """Return a run as Markdown."""
    faults = _markdown(("fault", "what", "tries", "injected", "violations"), _fault_rows(result))
    promises = _markdown(("invariant", "promise", "violations"), _invariant_rows(result))
    stale = _markdown(("stale actor", "sent", "refused", "changed"), _stale_rows(result))
    title = f"### Tier {result['tier']}: {result['jobs']} jobs, seed {result['seed']}"
    return "\n\n".join((title, summary(result) + ".", faults, promises, stale))


def proof_section(proof: Sequence[dict[str, Any]]) -> str:
    """Return what caught which deliberate defect, as Markdown."""
    rows: list[tuple[str, ...]] = [(row["defect"], row["caughtBy"]) for row in proof]
    return "### Deliberate defects\n\n" + _markdown(("defect", "caught by"), rows)


def page(
    template: str, results: Sequence[dict[str, Any]], proof: Sequence[dict[str, Any]] = ()
) -> str:
    """Return the page with its tables made anew."""
    before, _, rest = template.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [*map(page_section, results), *([proof_section(proof)] if proof else [])]
    sections = "\n\n".join(parts)
    return f"{before}{BEGIN}\n\n{sections}\n\n{END}{after}"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return the committed runs, the longest first."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    runs = [result for result in found if "faults" in result]
    return sorted(runs, key=lambda result: -int(result["jobs"]))


def read_proof(folder: Path) -> list[dict[str, Any]]:
    """Return the committed proof that defects are caught; nothing where there is none."""
    path = folder / "mutants.json"
    return list(json.loads(path.read_text())["mutants"]) if path.exists() else []


def _fault_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (row["code"], row["fault"], row["tries"], str(row["injected"]), str(row["violations"]))
        for row in result["faults"]
    ]


def _invariant_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(row["code"], row["promise"], str(row["violations"])) for row in result["invariants"]]


def _stale_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (row["what"], str(row["sent"]), str(row["refused"]), str(row["changed"]))
        for row in result["stale"]
    ]


def grid(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return aligned columns."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
