"""The console as somebody at a browser uses it, in the words that they read."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: A build of the sample takes some 5 s on a quiet machine; the tests' machine is not quiet.
JOB_MS = 180_000
#: A deploy has succeeded once its node serves the app; the edge learns of a new app a moment later.
ROUTE_SECONDS = 30


def answer_of(url: str) -> requests.Response:
    """Return what an app answers at its address: 200, unless it takes too long to get there."""
    deadline = time.monotonic() + ROUTE_SECONDS
    pause = threading.Event()
    while (answer := requests.get(url, timeout=10)).status_code != requests.codes.ok:
        if time.monotonic() > deadline:
            break
        pause.wait(0.2)
    return answer


class Console:
    """Somebody at a browser.

    :param page: of a context with the language English, unless a test says otherwise
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, path: str = "/") -> None:
        """Open a page by its path."""
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status < 400, f"{path}: {answer.status}"

    def sign_in(self, name: str, password: str) -> None:
        """Sign in with the form; ends on the list of apps."""
        self.open("/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("main").get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()

    def add_account(self, name: str, password: str, role: str) -> None:
        """Add an account with the operators' form."""
        self.open("/console/accounts?new=1")
        form = self.page.get_by_role("region", name="New account")
        form.get_by_label("User name").fill(name)
        form.get_by_label("Password").fill(password)
        form.locator(f"input[name=role][value={role}]").check(force=True)
        form.get_by_role("button", name="Make the account").click()
        expect(self.page.get_by_role("main")).to_contain_text(name)

    def make_app(self, app_id: str) -> None:
        """Make an app with the form; ends on the app's page."""
        self.open("/?new=1")
        self.page.get_by_label("Id", exact=True).fill(app_id)
        self.page.get_by_role("button", name="Make the app").click()
        expect(self.page.get_by_role("heading", name=app_id)).to_be_visible()

    def deploy_image(self, app_id: str, image: str, port: int) -> None:
        """Ask for an image; ends where its job is followed."""
        self.open(f"/console/apps/{app_id}/deploy")
        self.page.get_by_role("radio", name="Image").check()
        self.page.get_by_label("Image", exact=True).fill(image)
        self._send(port)

    def deploy_git(self, app_id: str, repository: str, commit: str, port: int) -> None:
        """Ask for a commit of a repository; ends where its job is followed."""
        self.open(f"/console/apps/{app_id}/deploy")
        self.page.get_by_role("radio", name="Git repository").check()
        self.page.get_by_role("textbox", name="Repository").fill(repository)
        self.page.get_by_role("textbox", name="Branch, tag or commit").fill(commit)
        self._send(port)

    def _send(self, port: int) -> None:
        field = self.page.get_by_role("textbox", name="Port")
        if not field.is_visible():
            self.page.get_by_text("How it runs, this time").click()
        field.fill(str(port))
        self.page.get_by_role("main").get_by_role("button", name="Deploy", exact=True).click()
        self.page.wait_for_url("**/console/jobs/*")

    def wait_for_end(self, sentence: str) -> None:
        """Wait on the page of a job until it says how it ended."""
        expect(self.page.get_by_text(sentence)).to_be_visible(timeout=JOB_MS)

    def address_of(self, app_id: str) -> str:
        """Return where an app can be opened, as its page links it."""
        self.open(f"/console/apps/{app_id}")
        link = self.page.get_by_role("link", name="Open (new tab)").first
        address = link.get_attribute("href")
        assert address is not None
        return address
