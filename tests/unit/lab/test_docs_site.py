from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import docs_site, layout

if TYPE_CHECKING:
    from pathlib import Path


def test_every_page_for_people_is_there_in_chinese() -> None:
    assert docs_site.untranslated() == [], "write PAGE.zh.md beside each of these"


def test_page_without_translation_is_named(tmp_path: Path) -> None:
    for name in ("index.md", "index.zh.md", "glossary.md", "concepts/app.md", "decisions/1.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    assert docs_site.untranslated(tmp_path) == ["concepts/app.md", "glossary.md"]


@pytest.mark.parametrize("language", ["md", "zh.md"])
def test_every_concept_is_on_the_first_page(language: str) -> None:
    docs = layout.ROOT / "docs"
    first = (docs / f"index.{language}").read_text()
    pages = [
        f"{folder}/{page.name}"
        for folder in ("concepts", "tutorial")
        for page in (docs / folder).glob("*.md")
        if not page.name.endswith(".zh.md")
    ]

    assert [page for page in sorted(pages) if f"({page})" not in first] == []
