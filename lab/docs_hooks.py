"""What the site of docs/ needs beyond its generator; loaded by it (mkdocs.yml), not by the lab."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_PICTURE = re.compile(r"^!\[[^\]]*\]\((?P<path>[^)\s]*pictures/[^)\s]+)\).*\n?", re.MULTILINE)
_INLINE = re.compile(r"<script>(?P<code>.+?)</script>", re.DOTALL)
_ASSETS = re.compile(r'src="(?P<folder>[^"]*assets/javascripts/)bundle')
#: By these the theme would ask for a list of pages, at an address that nobody knows.
_ALTERNATE = re.compile(r'<link rel="alternate"[^>]*>')
#: Line ends that Chinese would show as a space: behind its punctuation, and between its words.
_HAN, _STOPS = r"\u4e00-\u9fff", r"\u3000-\u303f\uff00-\uffef\u201c\u201d"
_LINE_END = re.compile(
    rf"(?<=[{_STOPS}])\n[ ]*|(?<=[{_HAN}])\n[ ]*(?=(?:<[^>/]+>)*[{_HAN}{_STOPS}])"
    rf"|\n[ ]*(?=(?:<[^>/]+>)*[{_STOPS}])"
)
_CODE = re.compile(r"(<pre.*?</pre>)", re.DOTALL)
_LOG = logging.getLogger("mkdocs.hooks.funai")
#: Scripts that pages of the theme hold, by the name of the file that they move to.
_scripts: dict[str, str] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let anchors keep Chinese: what does that is a function, which plain YAML cannot name."""
    # Only the generator's own environment has it.
    from markdown.extensions.toc import slugify_unicode  # noqa: PLC0415

    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify_unicode
    return config


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave out pictures that no browser test has made yet, and finds that would be found twice."""
    if config.theme["language"] != "en" and not page.file.src_uri.endswith(".zh.md"):
        # This page is not translated; the search has it under its own address.
        page.meta["search"] = {"exclude": True}

    def keep(found: re.Match[str]) -> str:
        path = urljoin(page.file.src_uri, found["path"])
        if files.get_file_from_path(path) is not None:
            return found[0]
        _LOG.info("%s: there is no %s yet", page.file.src_uri, path)
        return ""

    return _PICTURE.sub(keep, markdown)


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs
    """Join the lines of Chinese paragraphs."""
    if not page.file.src_uri.endswith(".zh.md"):
        return html
    parts = _CODE.split(html)
    return "".join(part if _CODE.match(part) else _LINE_END.sub("", part) for part in parts)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs
    """Move scripts out of the page: the console's policy lets files run, and nothing else."""
    assets = _ASSETS.search(output)
    folder = assets["folder"] if assets else ""

    def move(found: re.Match[str]) -> str:
        code = found["code"]
        name = f"page-{hashlib.sha256(code.encode()).hexdigest()[:12]}.js"
        _scripts[name] = code
        return f'<script src="{folder}{name}"></script>'

    return _INLINE.sub(move, _ALTERNATE.sub("", output))


def on_post_build(*, config: MkDocsConfig) -> None:
    """Write the scripts; drop what needs to know the site's address, which nobody does."""
    site = Path(config.site_dir)
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):
        (site / name).unlink(missing_ok=True)
    folder = site / "assets" / "javascripts"
    if folder.is_dir():
        for name, code in _scripts.items():
            (folder / name).write_text(code, encoding="utf-8")
