"""The deliberate defects still apply to the services as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.defects import DEFECTS, Defect
from tests.chaos.faults import BY_CODE
from tests.chaos.mutants import DoesNotApplyError, copy_with
from tests.chaos.parts import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ROOT / "services"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_defect_applies_and_is_python(defect: Defect, tmp_path: Path) -> None:
    tree = copy_with(defect, tmp_path / "services", SERVICES)

    for name in {name for name, _, _ in defect.changes}:
        compile((tree / "funai" / name).read_text(), name, "exec")
    assert set(defect.faults) <= set(BY_CODE)


def test_defect_that_no_longer_applies_is_an_error(tmp_path: Path) -> None:
    defect = Defect("x", (("deploy/app.py", "this text is nowhere", ""),))

    with pytest.raises(DoesNotApplyError, match="0 times"):
        copy_with(defect, tmp_path / "services", SERVICES)
