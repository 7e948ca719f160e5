"""The table at the end of a run, and the same in the page of guarantees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN = "<!-- Made by `python -m tests.chaos --page` from tests/chaos/results; do not edit. -->"
END = "<!-- end -->"
#: Counted series as a reader meets them: from the runner to the whole outage.
SERIES_ORDER = (
    "runner-kills", "deploy-kills", "database-kills", "database-restores", "upgrades", "redeploys",
    "redeploys-control", "outage",
)  # fmt: skip


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


def series_section(series: Sequence[dict[str, Any]]) -> str:
    """Return the counted series as Markdown: their rows, then what each was measured with."""
    head = ("promise", "what", "tried", "measured", "limit", "kept")
    rows: list[tuple[str, ...]] = [
        (
            one["promise"] if number == 0 else "",
            row["what"],
            row["tried"],
            row["measured"],
            row["limit"],
            _kept(row),
        )
        for one in series
        for number, row in enumerate(one["rows"])
    ]
    settings = [
        f"- `{one['name']}`: {one['setting']}. Seed {one['seed']}, {one['seconds']:.0f} s on"
        f" {one['machine']}, load {one['loadBefore']} before and {one['loadAfter']} after."
        for one in series
    ]
    return "\n\n".join(("### Counted series", _markdown(head, rows), "\n".join(settings)))


def _kept(row: dict[str, Any]) -> str:
    if not row["limit"]:
        return ""
    return "yes" if row["met"] else "**no**"


def crash_section(crash: dict[str, Any]) -> str:
    """Return the crashes of the agent at each point as Markdown."""
    head = ("killed", "times", "old version answered", "new one", "reconciled (p95)", "violations")
    rows: list[tuple[str, ...]] = [
        (
            row["point"],
            str(row["rounds"]),
            str(row["old"]),
            str(row["new"]),
            f"{row['p95 s']} s",
            str(len(row["violations"])),
        )
        for row in crash["points"]
    ]
    text = (
        f"A real engine; {len(rows)} points, {crash['rounds']} kills at each, {crash['violations']}"
        f" violations; reconciled within {crash['limit_seconds']:g} s of the agent's start; seed {crash['seed']}."
    )
    title = "### The agent killed at each point of a deploy"
    return "\n\n".join((title, text, _markdown(head, rows)))


def page(template: str, folder: Path) -> str:
    """Return the page with its tables made anew from the results in the folder."""
    before, _, rest = template.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [page_section(result) for result in read_results(folder)]
    if series := read_series(folder):
        parts.append(series_section(series))
    if crash := read_crash(folder):
        parts.append(crash_section(crash))
    if proof := read_proof(folder):
        parts.append(proof_section(proof))
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


def read_series(folder: Path) -> list[dict[str, Any]]:
    """Return the committed counted series in their order."""
    paths = (folder / "series" / f"{name}.json" for name in SERIES_ORDER)
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def read_crash(folder: Path) -> dict[str, Any] | None:
    """Return the committed crashes of the agent; None where there are none."""
    path = folder / "agent_crash.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


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
