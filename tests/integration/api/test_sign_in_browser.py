"""Signing in with a real browser, which keeps to the page's policy, on the way back to a preview."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.integration.api.process import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.integration.api.process import ApiProcess

PROGRAM = shutil.which("chromium")
WAIT_MS = 60_000
PREVIEW = "/ws/2/page?x=1"
expect.set_options(timeout=WAIT_MS)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")


class _Preview(BaseHTTPRequestHandler):
    """Stands for the edge with the previews, on an origin of its own."""

    def do_GET(self) -> None:
        body = f"<title>Preview</title><h1>Preview of {self.path}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def public_url(api: ApiProcess) -> Iterator[str]:
    """Return where the previews are; the API entry knows it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Preview)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    api.stop()
    api.start(API_PUBLIC_URL=url)
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(public_url: str) -> Iterator[Page]:
    """Return a page; it is closed before the server of the previews."""
    del public_url
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--no-proxy-server"]
        )
        found = browser.new_page(locale="en-US")
        found.set_default_timeout(WAIT_MS)
        yield found
        browser.close()


def _sign_in(page: Page, password: str) -> None:
    if not page.get_by_label("User name").input_value():
        page.get_by_label("User name").fill("bob")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_who_signs_in_for_a_preview_gets_to_it(
    api: ApiProcess, page: Page, public_url: str
) -> None:
    page.goto(f"{api.url}/sign-in?next={PREVIEW}")
    _sign_in(page, PASSWORD)

    expect(page.get_by_role("heading", name=f"Preview of {PREVIEW}")).to_be_visible()
    assert page.url == public_url + PREVIEW


def test_so_does_who_mistyped_the_password_first(
    api: ApiProcess, page: Page, public_url: str
) -> None:
    page.goto(f"{api.url}/sign-in?next={PREVIEW}")
    _sign_in(page, "mistyped it")
    expect(page.get_by_role("alert")).to_contain_text("name or password is wrong")
    _sign_in(page, PASSWORD)

    expect(page.get_by_role("heading", name=f"Preview of {PREVIEW}")).to_be_visible()
    assert page.url == public_url + PREVIEW
