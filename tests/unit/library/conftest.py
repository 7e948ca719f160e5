"""What tests of several modules start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.library.fake_host import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
