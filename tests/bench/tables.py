"""Make the tables of docs/benchmarks.md from the result files.

``python -m tests.bench.tables`` writes them between the page's markers; ``--check`` only says
whether they are current.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tests.bench.results import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- tables: begin, made by tests/bench/tables.py -->"
END = "<!-- tables: end -->"
UNITS = {"seconds": "s", "milliseconds": "ms", "mb": "MB", "ms": "ms"}


def load_results() -> list[dict[str, Any]]:
    """Return every result, by name."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("[!.]*.json"))]


def row(*cells: object) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def render_targets(found: list[dict[str, Any]]) -> list[str]:
    """Return one table of all targets."""
    lines = [row("benchmark", "target", "limit", "measured", "verdict"), row(*["---"] * 5)]
    for result in found:
        for item in result["targets"]:
            verdict = "met" if item["met"] else "**missed**"
            measured = f"{item['measured']:g} {item['unit']}"
            lines.append(row(result["title"], item["name"], item["limit"], measured, verdict))
    return lines


def render_result(result: dict[str, Any]) -> list[str]:
    """Return a result's own section: the figures, the reference, where and when."""
    reference = {key: value for key, value in result["reference"].items() if key != "what"}
    lines = [f"### {result['title']}", "", row("", "figures"), row("---", "---")]
    lines.append(row("ours", figures(result["ours"])))
    lines.append(row(result["reference"]["what"], figures(reference)))
    host, load = result["machine"], result["load"]
    lines += [
        row("ratio", result["ratio"]),
        row("rounds", result["rounds"]),
        "",
        f"{result['at']}, {host['cores']} cores of {host['cpu']}, {host['memory_gib']} GiB,"
        f" Linux {host['kernel']}; load {load['before'][0]:.1f} before and"
        f" {load['after'][0]:.1f} after; "
        + ", ".join(f"{name} {value}" for name, value in result["versions"].items())
        + ".",
        "",
    ]
    return lines


def figures(values: dict[str, Any]) -> str:
    """Return figures in one line, units after the numbers."""
    parts = []
    for name, value in values.items():
        if isinstance(value, dict):
            parts.append(f"{name}: {figures(value)}")
            continue
        words, _, unit = name.rpartition("_")
        known = unit in UNITS and words
        label = (words if known else name).replace("_", " ")
        parts.append(f"{label} {value:g}" + (f" {UNITS[unit]}" if known else ""))
    return (
        "; ".join(parts) if any(isinstance(v, dict) for v in values.values()) else ", ".join(parts)
    )


def render(found: list[dict[str, Any]]) -> str:
    """Return everything that stands between the markers."""
    lines = [*render_targets(found), ""]
    for result in found:
        lines += render_result(result)
    return "\n".join(lines).rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or with ``--check`` return 1 where they are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        print(f"{PAGE} lacks the markers {BEGIN} and {END}")  # noqa: T201
        return 1
    made = f"{head}{BEGIN}\n\n{render(load_results())}\n\n{END}{tail}"
    if options.check:
        return 0 if made == page else 1
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
