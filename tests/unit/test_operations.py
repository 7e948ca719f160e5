"""Every flow that an operator starts has its page, and the shape that the pages promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

FLOWS = sorted(Path("playbooks/ops").glob("*.yml"))
each_flow = pytest.mark.parametrize("flow", FLOWS, ids=lambda path: path.stem)


@each_flow
def test_flow_has_a_page_that_names_it(flow: Path) -> None:
    page = Path("docs/operations") / f"{flow.stem}.md"

    assert str(flow) in page.read_text()


@each_flow
def test_flow_looks_first_and_undoes_or_explains_what_fails(flow: Path) -> None:
    (play,) = yaml.safe_load(flow.read_text())
    tasks: list[dict[str, Any]] = play["tasks"]
    first_block = next(number for number, task in enumerate(tasks) if "block" in task)

    assert first_block > 0, "nothing is looked at before the first act"
    assert "rescue" in tasks[first_block]
    assert "ansible.builtin.fail" in tasks[first_block]["rescue"][-1]
