"""The documentation as ``./dev docs`` builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import docs_site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the site, ``site``, and its archive, ``docs.tar``."""
    folder = tmp_path_factory.mktemp("docs")
    docs_site.build(folder / "site", folder / "docs.tar")
    return folder


@pytest.fixture(scope="session")
def site(built: Path) -> Path:
    """Return the site."""
    return built / "site"
