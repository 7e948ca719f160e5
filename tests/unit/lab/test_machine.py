from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_waiting_is_not_work(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  100 10 50 9000 800 5 15 70 3 4\ncpu0 1 1 1 1 1 1 1 1 1 1\n")

    assert machine.busy_seconds(stat) == (100 + 10 + 50 + 5 + 15) / os.sysconf("SC_CLK_TCK")


def test_this_machine_works() -> None:
    assert machine.busy_seconds() > 0
