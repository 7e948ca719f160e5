"""Debian's browser, driven by Playwright; what it showed is kept beside the lab's logs."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests.e2e.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

PROGRAM = shutil.which("chromium")
#: Each test's page as it was last, and a trace of every step, which also holds what was typed.
EVIDENCE = Path(__file__).parents[2] / ".lab" / "logs" / "e2e"
#: Pictures that the documentation shows, made anew by each run.
PICTURES = EVIDENCE / "pictures"
WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
#: Chromium's own sandbox wants an ordinary user, and CI is root in a container.
_ARGUMENTS = ["--no-sandbox", "--no-proxy-server"]
#: What keeps somebody out or misleads them; the rest is advice.
_SERIOUS = {"serious", "critical"}
PASSWORD = "a browser's own password"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "expects_refusals: the browser may complain of answers with a status of 4xx"
    )


def variable(name: str) -> str:
    """Return what ``./dev env`` prints."""
    if name not in os.environ:
        pytest.exit(f'there is no {name}: eval "$(./dev env)"', returncode=2)
    return os.environ[name]


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    name: str
    password: str


@pytest.fixture(scope="session")
def edge_url() -> str:
    """Where people reach the apps."""
    return variable("FUNAI_EDGE_URL")


@pytest.fixture(scope="session")
def console_url() -> str:
    """Where people reach the console."""
    return variable("FUNAI_CONSOLE_URL")


@pytest.fixture(scope="session")
def operator() -> Person:
    """The operator that Ansible made."""
    return Person(variable("FUNAI_CONSOLE_USER"), variable("FUNAI_CONSOLE_PASSWORD"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the run; pages of different tests share nothing."""
    EVIDENCE.mkdir(mode=0o700, parents=True, exist_ok=True)
    (EVIDENCE / "accessibility.jsonl").unlink(missing_ok=True)
    if PROGRAM is None:
        pytest.exit("chromium is not there: apt-get install chromium fonts-wqy-zenhei", 2)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def make_person(browser: Browser, console_url: str, operator: Person) -> Callable[[str], Person]:
    """Make accounts as an operator does, in the console."""

    def make(role: str) -> Person:
        person = Person(f"e2e-{role}-{uuid.uuid4().hex[:8]}", PASSWORD)
        context = _context(browser)
        console = Console(context.new_page(), console_url)
        console.sign_in(operator.name, operator.password)
        console.add_account(person.name, person.password, role)
        context.close()
        return person

    return make


@pytest.fixture(scope="session")
def user(make_person: Callable[[str], Person]) -> Person:
    """A user with apps of their own."""
    return make_person("user")


@pytest.fixture(scope="session")
def other_user(make_person: Callable[[str], Person]) -> Person:
    """Another user."""
    return make_person("user")


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open pages, each of a browser of its own; last look, trace and complaints are kept.

    A page that complains on the browser's console fails its test.
    """
    folder = EVIDENCE / re.sub(r"[^\w.-]+", "_", request.node.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened: list[tuple[BrowserContext, Page]] = []
    complaints: list[str] = []

    def note(kind: str, text: str, url: str) -> None:
        # A browser asks every site for a picture of that name; the demo app has none.
        if kind == "error" and not url.endswith("/favicon.ico"):
            complaints.append(f"{text} ({url})")

    def open_one(**settings: Any) -> Page:
        context = _context(browser, **settings)
        context.tracing.start(screenshots=True, snapshots=True)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: note(said.type, said.text, said.location["url"]))
        opened.append((context, page))
        return page

    yield open_one
    for number, (context, page) in enumerate(opened):
        page.screenshot(path=folder / f"last-{number}.png", full_page=True)
        context.tracing.stop(path=folder / f"trace-{number}.zip")
        context.close()
    expected = request.node.get_closest_marker("expects_refusals")
    assert not [text for text in complaints if not (expected and "status of 4" in text)]


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """Return one page of the test's own."""
    return open_page()


@pytest.fixture
def console(page: Page, console_url: str, user: Person) -> Console:
    """The user at the console, signed in."""
    found = Console(page, console_url)
    found.sign_in(user.name, user.password)
    return found


@pytest.fixture
def operators_console(page: Page, console_url: str, operator: Person) -> Console:
    """The operator at the console, signed in."""
    found = Console(page, console_url)
    found.sign_in(operator.name, operator.password)
    return found


@pytest.fixture(scope="session")
def made_apps() -> Iterator[list[str]]:
    """Ids of the apps that the run made; they are removed from the nodes at its end."""
    found: list[str] = []
    yield found
    headers = {"X-DEPLOY-SECRET": variable("FUNAI_DEPLOY_SECRET")}
    for app_id in found:
        requests.post(
            f"{variable('FUNAI_DEPLOY_URL')}/deploy/apps/cleanup",
            json={"appId": app_id, "userId": "0"},
            headers=headers,
            timeout=60,
        )


@pytest.fixture(scope="session")
def new_app_id(made_apps: list[str]) -> Callable[[str], str]:
    """Return ids that nobody has."""

    def make(name: str) -> str:
        made_apps.append(f"e2e-{name}-{uuid.uuid4().hex[:6]}")
        return made_apps[-1]

    return make


def faults_of(page: Page, look: str) -> list[str]:
    """Return what keeps people from using the page: rule, and where it is broken.

    All that axe-core has to say of the page, advice too, goes into the accessibility report.

    :param look: how the page is shown, for the report
    """
    answer = Axe().run(page).response
    found = answer["violations"]
    line = {
        "page": urlsplit(page.url).path,
        "look": look,
        "axe": answer["testEngine"]["version"],
        "rules_passed": len(answer["passes"]),
        "violations": [{"rule": each["id"], "impact": each["impact"]} for each in found],
    }
    with (EVIDENCE / "accessibility.jsonl").open("a") as report:
        report.write(json.dumps(line) + "\n")
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:150]}"
        for each in found
        if each["impact"] in _SERIOUS
        for node in each["nodes"]
    ]


def keep_picture(page: Page, name: str) -> None:
    """Keep how a page looks, for the documentation."""
    PICTURES.mkdir(mode=0o700, parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def _context(browser: Browser, **settings: Any) -> BrowserContext:
    chosen = {"locale": "en-GB", "viewport": LAPTOP, "color_scheme": "light", **settings}
    context = browser.new_context(**chosen)
    context.set_default_timeout(WAIT_MS)
    return context
