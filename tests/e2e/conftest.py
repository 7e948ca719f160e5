"""Debian's browser, driven by Playwright; what it showed is kept beside the lab's logs."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PROGRAM = shutil.which("chromium")
#: Each test's page as it was last, and a trace of every step, which also holds what was typed.
EVIDENCE = Path(__file__).parents[2] / ".lab" / "logs" / "e2e"
WAIT_MS = 10_000
#: Chromium's own sandbox wants an ordinary user, and CI is root in a container.
_ARGUMENTS = ["--no-sandbox", "--no-proxy-server"]


@pytest.fixture(scope="session")
def edge_url() -> str:
    """Where people reach the platform; ``./dev env`` prints it."""
    if "FUNAI_EDGE_URL" not in os.environ:
        pytest.exit('there is no FUNAI_EDGE_URL: eval "$(./dev env)"', returncode=2)
    return os.environ["FUNAI_EDGE_URL"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the run; pages of different tests share nothing."""
    if PROGRAM is None:
        pytest.exit("chromium is not there: apt-get install chromium fonts-wqy-zenhei", 2)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return a page of the test's own; its last look and its trace are kept."""
    evidence = EVIDENCE / re.sub(r"[^\w.-]+", "_", request.node.name)
    evidence.mkdir(mode=0o700, parents=True, exist_ok=True)
    context = browser.new_context(ignore_https_errors=False, locale="zh-CN")
    context.set_default_timeout(WAIT_MS)
    context.tracing.start(screenshots=True, snapshots=True)
    page = context.new_page()
    yield page
    page.screenshot(path=evidence / "last.png", full_page=True)
    context.tracing.stop(path=evidence / "trace.zip")
    context.close()
