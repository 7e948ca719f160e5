"""The operators' page of nodes, in a browser beside a real Deploy."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.integration.api.console import LEASE_SECONDS
from tests.integration.deploy_process import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

    from tests.integration.api.process import ApiProcess

PATH = "/admin/nodes-admin.html"
PROGRAM = shutil.which("chromium")
GIGABYTE = 10**9
#: The page asks every five seconds, and where Deploy is away every thirty at the most.
REFRESHED_MS = 60_000
APPS = 23
expect.set_options(timeout=REFRESHED_MS)


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


@pytest.fixture(scope="module")
def platform(shared_api: ApiProcess) -> ApiProcess:
    """Three nodes, and apps on the first."""
    deploy = shared_api.deploy
    beat(shared_api, "runtime-01", containers=1)
    for number in range(APPS):
        deploy.create(f"shop-{number:02}")
        deploy.report(deploy.claimed(), "SUCCEEDED")
    beat(shared_api, "runtime-02", containers=2)
    beat(shared_api, "runtime-03", containers=3, percent=18.25)
    return shared_api


def beat(api: ApiProcess, name: str, *, containers: int, percent: float = 61.4) -> None:
    disk = {"diskFreePct": percent, "diskFreeBytes": 48 * GIGABYTE}
    assert api.deploy.beat(name, containerCount=containers, **disk)[0] == 200


@pytest.fixture
def page(chromium: Browser, platform: ApiProcess) -> Iterator[Page]:
    """The page in an operator's browser, which says nothing of errors."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, locale="en-US")
    cookies: list[Any] = [
        {"name": cookie.name, "value": cookie.value, "url": platform.url}
        for cookie in platform.browser("ada").session.cookies
    ]
    context.add_cookies(cookies)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(platform.url + PATH)
    expect(page.locator("[data-node]")).to_have_count(3)
    yield page
    context.close()
    assert troubles == []


def test_it_says_how_nodes_and_runners_are(page: Page) -> None:
    first, _, third = page.locator("[data-node]").all()
    expect(first).to_contain_text("runtime-01")
    expect(first).to_contain_text("Healthy")
    expect(first).to_contain_text("61.4 % free, 48 GB")
    expect(first.locator("time").first).to_contain_text("ago")
    expect(third).to_contain_text("takes no new apps")
    expect(page.locator("[data-runner]")).to_contain_text("runner-1")
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wider)


def test_what_is_typed_stays_while_the_page_refreshes(page: Page, platform: ApiProcess) -> None:
    page.get_by_role("button", name="Change runtime-02").click()
    page.get_by_label("Weight").fill("77")

    beat(platform, "runtime-01", containers=9)

    changed = page.locator('[data-node="1"] [data-at="containers"]')
    expect(changed).to_have_text("9")
    typed = "[document.activeElement.name, document.activeElement.value]"
    assert page.evaluate(typed) == ["weight", "77"]
    page.keyboard.press("Enter")
    expect(page.locator('[data-node="2"] [data-at="weight"]')).to_have_text("77")
    # A refresh may show the weight before the dialog knows that it was taken.
    expect(page.get_by_role("button", name="Change runtime-02")).to_be_focused()


def test_a_refusal_stays_in_its_dialog(page: Page) -> None:
    page.get_by_role("button", name="New node").click()
    page.get_by_label("Name").fill("runtime-09")
    page.keyboard.press("Enter")

    fault = page.get_by_role("dialog").get_by_role("alert")
    expect(fault).to_contain_text("Agent: its address is missing")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("[data-node]")).to_have_count(3)


def test_an_app_moves_and_a_node_is_drained_with_the_keyboard(
    page: Page, platform: ApiProcess
) -> None:
    page.get_by_role("button", name="Apps runtime-01").press("Enter")
    expect(page.locator("[data-app]")).to_have_count(APPS)
    page.get_by_role("button", name="Move shop-07").press("Enter")
    # The third node is short of disk.
    expect(page.locator("#move option")).to_have_text(["runtime-02"])
    page.get_by_role("dialog").get_by_role("button", name="Move").press("Enter")
    expect(page.locator("[data-app]")).to_have_count(APPS - 1)
    expect(page.locator("#said")).to_contain_text("shop-07 is placed on runtime-02")

    platform.deploy.create("shop-03")
    job = platform.deploy.claimed(leaseSeconds=LEASE_SECONDS)
    drain = page.get_by_role("button", name="Drain runtime-01")
    drain.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text(f"{APPS - 1} apps")
    page.get_by_role("dialog").get_by_role("button", name="Drain").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text(f"{APPS - 2} apps moved; 1 stayed")
    page.keyboard.press("Escape")
    expect(drain).to_be_focused()
    first = page.locator('[data-node="1"]')
    expect(first).to_contain_text("Draining")

    platform.deploy.report(job, "SUCCEEDED")
    page.get_by_role("button", name="Enable runtime-01").press("Enter")
    expect(first).to_contain_text("Healthy")
    placed = platform.deploy.call("GET", "/admin/runtime-nodes/placements?nodeId=1", None, ADMIN)[
        1
    ]["data"]
    assert [item["appId"] for item in placed["items"]] == ["shop-03"]


def test_a_node_is_disabled_only_after_a_question(page: Page, platform: ApiProcess) -> None:
    node = page.locator('[data-node="2"]')
    disable = page.get_by_role("button", name="Disable runtime-02")
    disable.click()
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(node).to_contain_text("Healthy")

    disable.click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()

    expect(node).to_contain_text("Disabled")
    page.get_by_role("button", name="Enable runtime-02").click()
    expect(node).to_contain_text("Healthy")


def test_it_says_that_deploy_is_away_and_goes_on_by_itself(
    page: Page, platform: ApiProcess
) -> None:
    platform.deploy.stop()
    try:
        expect(page.locator("#trouble")).to_contain_text("does not answer")
    finally:
        platform.deploy.start()
    expect(page.locator("#trouble")).to_be_hidden()


def test_whoever_is_signed_out_is_told_so_once(page: Page, platform: ApiProcess) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    platform.deploy.schema.execute("DELETE FROM fun_ai_api_session")

    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("You are signed out")
    expect(trouble).not_to_contain_text("Trying again")
    before = len(asked)
    page.wait_for_timeout(6000)
    assert len(asked) == before


def test_it_speaks_chinese(page: Page) -> None:
    speak_chinese(page)

    expect(page.locator('[data-node="1"]')).to_contain_text("正常")
    expect(page.locator('[data-node="1"]')).to_contain_text("剩余 61.4%")


def speak_chinese(page: Page) -> None:
    page.context.add_cookies(
        [{"name": "funai_language", "value": "zh", "url": page.url.partition("/admin")[0]}]
    )
    page.reload()
    expect(page.locator("[data-node]")).to_have_count(3)


def test_it_is_refused_in_chinese(page: Page, platform: ApiProcess) -> None:
    speak_chinese(page)
    page.get_by_role("button", name="新建节点").click()
    page.get_by_label("名称").fill("runtime-09")
    page.keyboard.press("Enter")
    fault = page.get_by_role("dialog").get_by_role("alert")
    expect(fault).to_have_text(re.compile("代理地址.未填写.网关地址.未填写"))
    page.keyboard.press("Escape")

    page.get_by_role("button", name="排空 runtime-01").click()
    # Another operator was quicker.
    platform.deploy.call(
        "POST", "/admin/runtime-nodes/set-enabled?name=runtime-02&enabled=false", {}, ADMIN
    )
    try:
        page.get_by_role("dialog").get_by_role("button", name="排空").click()
        expect(fault).to_have_text(re.compile("节点 runtime-02 已停用.请选择其他节点。"))
    finally:
        platform.deploy.call(
            "POST", "/admin/runtime-nodes/set-enabled?name=runtime-02&enabled=true", {}, ADMIN
        )


#: As the edge answers while the API entry restarts; of before, without code and message; and no JSON.
EDGE = '{"code":503,"message":"The console is down.","data":null,"status":503,"error":"x","detail":"y"}'
OTHER_PROXY = '{"detail":"a proxy is down"}'


@pytest.mark.parametrize(
    ("status", "body", "says", "says_in_chinese"),
    [
        pytest.param(
            503,
            EDGE,
            "No answer: The console is down for a moment; deployed apps are not affected. Trying again…",
            "控制台暂时不可用",
            id="the edge",
        ),
        pytest.param(
            503,
            OTHER_PROXY,
            "No answer: a proxy is down. Trying again…",
            "没有应答",
            id="a proxy that says it in its own way",
        ),
        pytest.param(
            502,
            "<html>",
            "No answer: The console gave no valid answer; look whether it was done before you"
            " repeat it. Trying again…",
            "控制台没有给出有效应答",
            id="no JSON",
        ),
        pytest.param(
            0,
            "",
            "No answer: The console cannot be reached. Trying again…",
            "无法连接控制台",
            id="nothing at all",
        ),
    ],
)
def test_it_says_why_there_is_no_answer(
    page: Page, status: int, body: str, says: str, says_in_chinese: str
) -> None:
    def answer(route: Route) -> None:
        if status:
            route.fulfill(status=status, body=body)
        else:
            route.abort()

    page.route("**/deploy-nodes/**", answer)
    expect(page.locator("#trouble")).to_have_text(says)
    page.unroute("**/deploy-nodes/**")
    expect(page.locator("#trouble")).to_be_hidden()
    speak_chinese(page)
    page.route("**/deploy-nodes/**", answer)
    expect(page.locator("#trouble")).to_contain_text(says_in_chinese)


def test_it_is_for_operators(platform: ApiProcess) -> None:
    assert platform.browser("bob").get(PATH).status_code == 403
    answer = platform.browser().get(PATH)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in")
    assert (
        "unsafe-inline" not in platform.browser("ada").get(PATH).headers["Content-Security-Policy"]
    )


def test_a_page_of_the_teams_own_takes_its_place_unchanged(
    platform: ApiProcess, tmp_path: Path
) -> None:
    own = tmp_path / "nodes-admin.html"
    own.write_bytes("<!doctype html><script>fetch('x')</script>节点\r\n".encode())
    platform.stop()
    platform.start(API_ADMIN_PAGE=str(own))
    try:
        operator = platform.browser("ada")
        answer = operator.get(PATH)
        assert answer.content == own.read_bytes()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self' 'unsafe-inline'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe-inline" not in operator.get("/").headers["Content-Security-Policy"]
        assert platform.browser("bob").get(PATH).status_code == 403
        own.unlink()
        assert operator.get(PATH).status_code == 500
        assert "API_ADMIN_PAGE" in operator.get(PATH).text
    finally:
        platform.stop()
        platform.start()
