"""What the inventory says, it says once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

FOLDERS = sorted(path for path in Path("inventory/group_vars").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_no_variable_of_a_group_is_declared_twice(folder: Path) -> None:
    declared = Counter(
        name
        for path in sorted(folder.glob("*.yml"))
        if not path.read_text().startswith("$ANSIBLE_VAULT")
        for name in yaml.safe_load(path.read_text()) or {}
    )

    assert not [name for name, times in declared.items() if times > 1]
