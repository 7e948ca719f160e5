"""What the pages do in a browser: the live log, the rollback, and nothing that keeps somebody out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests.integration.api.console import Runner, deploy, new_app
from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy_process import ADMIN, API

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.integration.api.process import ApiProcess

PROGRAM = shutil.which("chromium")
WAIT_MS = 60_000
LINES = 12_000
GIT = {"kind": "git", "repoUrl": "https://git.test/team/shop.git"}
#: What keeps somebody out or misleads them; the rest is advice.
SERIOUS = {"serious", "critical"}
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("chromium is not there: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--no-proxy-server"]
        )
        yield running
        running.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page as an account; afterwards nothing may have been complained of."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_page(api: ApiProcess, path: str, name: str = "bob", **options: Any) -> Page:
        context = chromium.new_context(locale="en-US", **options)
        contexts.append(context)
        cookies: list[Any] = [
            {"name": cookie.name, "value": cookie.value, "url": api.url}
            for cookie in api.browser(name).session.cookies
        ]
        context.add_cookies(cookies)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: _note(troubles, said.type, said.text))
        page.goto(api.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def _note(troubles: list[str], kind: str, text: str) -> None:
    # A connection that is lost on purpose is the browser's to complain of.
    if kind in {"error", "warning"} and "Failed to load resource" not in text:
        troubles.append(text)


def _lines(page: Page, number: int) -> None:
    expect(page.locator("[data-log=lines]")).to_have_text(f"{number:,} lines")


def _write(runner: Runner, job: dict[str, Any], count: int) -> None:
    for first in range(0, count, 1000):
        texts = [
            f"line {n}{' needle' if n % 1000 == 500 else ''}" for n in range(first, first + 1000)
        ]
        runner.log(job, "BUILD", *texts, offset=first)


def test_a_long_log_is_searched_followed_and_paused(
    shared_api: ApiProcess, visit: Callable[..., Page]
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    _write(runner, job, LINES)
    page = visit(shared_api, f"/console/jobs/{job['id']}")
    _lines(page, LINES)
    expect(page.get_by_text(f"line {LINES - 1}", exact=True)).to_be_in_viewport()
    assert page.locator(".log-line").count() < 300
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill("NEEDLE")
    expect(page.locator("[data-log=count]")).to_have_text("12 of 12")
    search.press("Enter")
    expect(page.locator("[data-log=count]")).to_have_text("1 of 12")
    expect(page.locator(".log-line.found mark")).to_be_in_viewport()
    page.get_by_role("button", name="Previous match").click()
    expect(page.locator("[data-log=count]")).to_have_text("12 of 12")
    # Who searches is not taken to the end by what comes.
    runner.log(job, "PUSH", "the newest", offset=LINES)
    _lines(page, LINES + 1)
    expect(page.get_by_text("the newest", exact=True)).not_to_be_in_viewport()
    page.get_by_role("button", name="To the end").click()
    expect(page.get_by_text("the newest", exact=True)).to_be_in_viewport()
    expect(page.locator(".log-line.phase", has_text="Pushing the image")).to_be_visible()
    runner.end(job)
    expect(page.locator("[data-log=state]")).to_have_text("The log is complete.")
    expect(page.locator("[data-part=outcome]")).to_contain_text("It succeeded.")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_a_lost_connection_costs_no_line_and_doubles_none(
    api: ApiProcess, visit: Callable[..., Page]
) -> None:
    bob, runner = api.browser("bob"), Runner(api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    runner.log(job, "BUILD", "before")
    page = visit(api, f"/console/jobs/{job['id']}")
    _lines(page, 1)
    api.stop()
    expect(page.locator("[data-log=state]")).to_have_text("Connection lost; trying again…")
    runner.log(job, "BUILD", "meanwhile", offset=1)
    api.start()
    _lines(page, 2)
    runner.log(job, "BUILD", "after", offset=2)
    _lines(page, 3)
    # The rows are drawn a moment after they are counted.
    shown = page.locator(".log-line:not(.phase) .log-text")
    expect(shown).to_have_text(["before", "meanwhile", "after"])
    runner.end(job)


def test_a_log_comes_by_asking_where_too_many_follow(
    api: ApiProcess, visit: Callable[..., Page]
) -> None:
    api.stop()
    api.start(API_THREADS="4")
    bob, runner = api.browser("bob"), Runner(api)
    job = runner.take(deploy(bob, new_app(bob), **GIT))
    path = f"/console/jobs/{job['id']}"
    followers = [bob.get(f"{path}/log/stream", stream=True) for _ in range(2)]
    page = visit(api, path)
    runner.log(job, "BUILD", "one", "two")
    expect(page.locator("[data-log=state]")).to_have_text("Live, by asking every few seconds")
    _lines(page, 2)
    runner.end(job)
    expect(page.locator("[data-log=state]")).to_have_text("The log is complete.")
    for answer in followers:
        answer.close()


@pytest.fixture
def agent(shared_api: ApiProcess) -> Iterator[AgentStub]:
    """The agent of the node with the most room, which gets the test's app."""
    stub = AgentStub()
    # A node keeps the address that it came with, so each stub has a node of its own.
    name = f"node-at-{stub.url.rpartition(':')[2]}"
    shared_api.deploy.beat(name, agentBaseUrl=stub.url, diskFreePct=99.0)
    yield stub
    stub.close()
    path = f"/admin/runtime-nodes/set-enabled?name={name}&enabled=false"
    shared_api.deploy.call("POST", path, None, {**API, **ADMIN})


def test_the_log_of_an_app_that_ended_is_left_to_its_reader(
    shared_api: ApiProcess, visit: Callable[..., Page], agent: AgentStub
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    runner.run(deploy(bob, app_id))
    agent.log = b"".join(b"line %d\n" % n for n in range(200)) + b"a last word without an end"
    page = visit(shared_api, f"/console/apps/{app_id}/log")
    state = page.locator("[data-log=state]")
    expect(state).to_have_text("The app does not run; this is the end of its log.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    _lines(page, 201)
    view = page.locator("[data-log=view]")
    view.evaluate("view => { view.scrollTop = 400; }")
    expect(page.get_by_role("button", name="To the end")).to_be_visible()

    page.wait_for_timeout(8_000)

    # After two seconds, and four later; each second before.
    assert 1 <= len([url for url in asked if "/log.txt" in url]) <= 3
    expect(state).to_have_text("The app does not run; this is the end of its log.")
    assert view.evaluate("view => view.scrollTop") == 400


def test_an_apps_log_stays_until_the_next_one_begins(
    shared_api: ApiProcess, visit: Callable[..., Page], agent: AgentStub
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    runner.run(deploy(bob, app_id))
    agent.log = b"the old one\n"
    page = visit(shared_api, f"/console/apps/{app_id}/log")
    shown = page.locator(".log-text")
    expect(page.locator("[data-log=state]")).to_contain_text("does not run")
    expect(shown).to_have_text(["the old one"])

    agent.log = b"no line yet"
    agent.hold.clear()
    expect(page.locator("[data-log=state]")).to_have_text("Live")
    expect(shown).to_have_text(["the old one"])

    agent.log = b"the new one\n"
    agent.hold.set()
    expect(page.locator("[data-log=state]")).to_contain_text("does not run")
    expect(shown).to_have_text(["the new one"])


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_one_click_rolls_back_and_another_undoes_it(
    shared_api: ApiProcess,
    visit: Callable[..., Page],
    has_script: bool,  # noqa: FBT001 - a parameter
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    for _ in range(2):
        runner.run(deploy(bob, app_id))
    page = visit(shared_api, f"/console/apps/{app_id}/revisions", java_script_enabled=has_script)
    for number in (1, 2):
        page.get_by_role("button", name=f"Roll back #{number}").click()
        expect(page.get_by_text(f"Going back to revision {number}.")).to_be_visible()
        runner.run(page.url.rpartition("/")[2])
        page.goto(f"{shared_api.url}/console/apps/{app_id}/revisions")
        expect(page.get_by_text("Another rollback undoes it.")).to_be_visible()


def test_an_app_is_deployed_without_javascript(
    shared_api: ApiProcess, visit: Callable[..., Page]
) -> None:
    app_id = new_app(shared_api.browser("bob"))
    runner = Runner(shared_api)
    page = visit(shared_api, f"/console/apps/{app_id}/deploy", java_script_enabled=False)
    page.get_by_role("radio", name="Git repository").check(force=True)
    expect(page.locator("#f-image")).to_be_hidden()
    page.get_by_label("Repository", exact=True).fill(GIT["repoUrl"])
    page.get_by_role("main").get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    expect(page.get_by_text("Without JavaScript the log is a file")).to_be_visible()
    runner.run(page.url.rpartition("/")[2])


def test_the_menu_opens_by_keyboard_and_chooses_the_language(
    shared_api: ApiProcess, visit: Callable[..., Page]
) -> None:
    page = visit(shared_api, "/", name="eve")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.locator(".menu summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="中文")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="中文")).to_be_hidden()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="应用", exact=True)).to_be_visible()
    page.locator(".menu summary").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def paths(shared_api: ApiProcess) -> list[str]:
    """Every page, each with something on it."""
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob, "A name that is rather long for the phone of somebody")
    runner.run(deploy(bob, app_id), "ab" * 20)
    failed = runner.take(deploy(bob, app_id, **GIT))
    runner.phase(failed, "BUILD")
    runner.log(failed, "BUILD", "x" * 400)
    error = "RUN make exited with 2.\n" + "x" * 300
    runner.end(failed, "FAILED", errorMessage=error, reason="BUILD_FAILED")
    theirs = {"appId": "theirs", "userId": 2, "image": "registry.test/team/shop:1"}
    made = {"type": "BUILD_AND_DEPLOY", "payload": theirs}
    runner.run(shared_api.deploy.call("POST", "/deploy/jobs", made, API)[1]["data"]["id"])
    page = f"/console/apps/{app_id}/settings"
    for name in ("A_VARIABLE_WITH_A_LONG_NAME_OF_SOME_SIXTY_CHARACTERS_AS_THEY_ARE", "B"):
        bob.submit(page, page + "/environment", name=name, value="1")
    tabs = ("", "/deploy", "/jobs", "/revisions", "/log", "/settings")
    others = ("/", "/?new=1", "/console/queue", "/console/account", "/console/accounts?new=1")
    return [
        *(f"/console/apps/{app_id}{tab}" for tab in tabs),
        f"/console/jobs/{failed['id']}",
        "/console/apps/nobodys",
        "/console/apps/theirs",
        *others,
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_somebody_out(
    shared_api: ApiProcess, visit: Callable[..., Page], paths: list[str], scheme: str
) -> None:
    # axe is a script of the test's, which the pages' policy would refuse.
    page = visit(shared_api, "/", name="ada", color_scheme=scheme, bypass_csp=True)
    faults = {}
    for path in paths:
        page.goto(shared_api.url + path)
        for found in Axe().run(page).response["violations"]:
            if found["impact"] in SERIOUS:
                faults[f"{path} {found['id']}"] = [node["html"] for node in found["nodes"]]
    assert faults == {}


@pytest.mark.parametrize("width", [360, 768])
def test_no_page_is_wider_than_the_screen(
    shared_api: ApiProcess, visit: Callable[..., Page], paths: list[str], width: int
) -> None:
    viewport = {"width": width, "height": 740}
    page = visit(shared_api, "/", name="ada", viewport=viewport)
    wide = {}
    for path in paths:
        page.goto(shared_api.url + path)
        found = page.evaluate("document.documentElement.scrollWidth")
        if found > width:
            wide[path] = found
    assert wide == {}
