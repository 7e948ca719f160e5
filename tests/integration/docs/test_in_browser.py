"""The documentation as the console serves it: below a path, under a strict policy."""

from __future__ import annotations

import functools
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from funai.api.web.headers import POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

PROGRAM = shutil.which("chromium")
WAIT_MS = 60_000
expect.set_options(timeout=WAIT_MS)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")


class _Console(SimpleHTTPRequestHandler):
    """Serves a folder as the console does."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(site: Path, tmp_path: Path) -> Iterator[str]:
    """Return where the site is served."""
    (tmp_path / "docs").symlink_to(site)
    handler = functools.partial(_Console, directory=tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/docs/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(url: str) -> Iterator[Page]:
    """Return a page on which nothing may go wrong.

    It is closed before its server: a search that still loads would miss its scripts.
    """
    del url
    faults: list[str] = []
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--no-proxy-server"]
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=options)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: _note(faults, message.type, message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield page
        browser.close()
    assert faults == []


def _note(faults: list[str], kind: str, text: str) -> None:
    if kind == "error":
        faults.append(text)


@pytest.mark.parametrize(
    ("start", "words", "title"),
    [
        pytest.param("", "rollback", "Roll an app back", id="en"),
        pytest.param("zh/", "回滚应用", "回滚应用", id="zh"),
        pytest.param("zh/", "栅栏", "栅栏编号", id="zh-one-word"),
    ],
)
def test_search_finds_the_page(page: Page, url: str, start: str, words: str, title: str) -> None:
    page.goto(f"{url}{start}index.html")
    page.locator("input[name=query]").click()
    # What is typed before the index is there is not looked for.
    ready = re.compile("Type to start searching|键入以开始搜索")
    expect(page.locator(".md-search-result__meta")).to_have_text(ready, timeout=WAIT_MS)
    page.keyboard.type(words)
    # Playwright puts Chinese in without a key; whoever types it lets one go.
    page.keyboard.press("End")

    # Words of Chinese are divided by a space without width.
    heading = re.compile("\u200b?".join(title))
    hit = page.locator(".md-search-result__item h1", has_text=heading).first
    expect(hit).to_be_visible(timeout=WAIT_MS)


def test_language_and_colours_change_on_the_same_page(page: Page, url: str) -> None:
    page.goto(f"{url}concepts/fence.html")

    page.locator("label[for=__palette_1]:visible, label[for=__palette_0]:visible").first.click()
    dark = page.locator("body[data-md-color-scheme=slate]")
    expect(dark).to_have_count(1)
    page.locator(".md-select").first.hover()
    page.locator(".md-select a[hreflang=zh]").first.click()

    expect(page).to_have_url(f"{url}zh/concepts/fence.html")
    expect(page.locator("h1")).to_contain_text("栅栏编号")
    expect(dark).to_have_count(1)
