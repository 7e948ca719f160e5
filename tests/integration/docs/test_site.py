"""What the built documentation is made of: whole, bilingual, and of its own files alone."""

from __future__ import annotations

import re
import tarfile
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from lab import docs_site

if TYPE_CHECKING:
    from pathlib import Path

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Attributes by which a browser fetches something without being asked.
_FETCHING = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
}


class Reading(HTMLParser):
    """What a page links to, loads and holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.update(found[name] for name in ("id", "name") if name in found)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not {"src", "type"} & set(found)):
            self.inline.append(tag)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in _FETCHING and _FETCHING[tag] in found:
            self.loads.append(found[_FETCHING[tag]])


def pages(site: Path) -> dict[str, Reading]:
    """Return every page by its path."""
    found = sorted(site.rglob("*.html"))
    return {str(path.relative_to(site)): Reading(path.read_text()) for path in found}


def test_page_loads_nothing_from_elsewhere_and_runs_nothing_but_files(site: Path) -> None:
    for path, page in pages(site).items():
        strange = [load for load in page.loads if urlsplit(load).scheme or load.startswith("//")]
        assert not strange, f"{path} loads {strange}"
        assert not page.inline, (
            f"{path} holds {set(page.inline)}, which the console's policy forbids"
        )
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import", styles)


def test_every_link_leads_to_a_page_and_its_heading(site: Path) -> None:
    known = pages(site)
    broken = []
    for path, page in known.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(urljoin(f"http://site/{path}", link))
            if parts.netloc != "site":
                continue
            target = unquote(parts.path).lstrip("/") or "index.html"
            there = (site / target).is_file()
            heading = unquote(parts.fragment)
            if there and heading and target in known:
                there = heading in known[target].anchors or heading.startswith("__")
            if not there:
                broken.append(f"{path}: {link}")

    assert broken == []


def test_every_english_page_has_its_chinese_one(site: Path) -> None:
    known = pages(site)
    english = {path for path in known if not path.startswith("zh/")}

    assert english == {path.removeprefix("zh/") for path in known if path.startswith("zh/")}
    for path in english:
        if path.split("/")[0].removesuffix(".html") + ".md" in docs_site.TRANSLATED or (
            path.split("/")[0] in docs_site.TRANSLATED
        ):
            text = (site / "zh" / path).read_text()
            assert '<html lang="zh"' in text
            assert len(_CHINESE.findall(text)) > 200, f"zh/{path} is hardly Chinese"


def test_archive_holds_the_site_and_is_the_same_each_time(built: Path, tmp_path: Path) -> None:
    docs_site.build(tmp_path / "site", tmp_path / "docs.tar")

    assert (tmp_path / "docs.tar").read_bytes() == (built / "docs.tar").read_bytes()
    with tarfile.open(built / "docs.tar") as archive:
        assert "zh/index.html" in archive.getnames()


def test_lines_of_chinese_are_joined_without_a_space(site: Path) -> None:
    for path in sorted((site / "zh").rglob("*.html")):
        body = re.sub(r"<pre.*?</pre>", "", path.read_text(), flags=re.DOTALL)
        apart = re.findall(
            r"[\u4e00-\u9fff\u3001\u3002\uff0c\uff1a\uff1b]\n *[\u4e00-\u9fff]", body
        )
        assert not apart, f"{path.name}: {apart[:3]}"
