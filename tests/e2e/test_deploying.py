"""A user deploys, follows, opens, breaks and rolls back an app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.conftest import PHONE, keep_picture, variable
from tests.e2e.console import JOB_MS, answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.e2e.console import Console

DEMO_PORT = 8080
SAMPLE_PORT = 3000
#: How else than on a laptop and in English the pictures show a deploy.
LOOKS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": PHONE, "has_touch": True},
    "chinese": {"locale": "zh-CN"},
}


@pytest.fixture(scope="module")
def shop(new_app_id: Callable[[str], str]) -> str:
    """The app of this file: its tests are one story, told in order."""
    return new_app_id("shop")


@pytest.fixture
def other_looks(console: Console, open_page: Callable[..., Page]) -> dict[str, Page]:
    """The same person's pages in the looks of :data:`LOOKS`: signed in, nothing opened yet."""
    signed_in = console.page.context.storage_state()
    return {name: open_page(storage_state=signed_in, **look) for name, look in LOOKS.items()}


def keep_looks(pages: dict[str, Page], address: str, name: str, *, shows: str) -> None:
    """Keep a picture of an address in each look, unless what it is to show is over.

    :param shows: selector of that
    """
    for look, page in pages.items():
        page.goto(address)
        if page.locator(shows).count():
            expect(page.locator(".log-line").first).to_be_visible()
            keep_picture(page, f"{name}_{look}")


def test_an_image_is_deployed_and_opens(console: Console, shop: str) -> None:
    console.make_app(shop)
    console.deploy_image(shop, variable("FUNAI_DEMO_IMAGE"), DEMO_PORT)
    console.wait_for_end("It succeeded.")

    expect(console.page.get_by_role("log")).to_contain_text("Starting the new version")
    answer = answer_of(console.address_of(shop))
    assert answer.status_code == 200
    assert answer.headers["X-App-Release"].startswith("r")


def test_a_commit_is_built_while_the_log_moves(
    console: Console, new_app_id: Callable[[str], str], other_looks: dict[str, Page]
) -> None:
    app_id = new_app_id("built")
    console.make_app(app_id)
    console.deploy_git(app_id, variable("FUNAI_SAMPLE_REPO"), "main", SAMPLE_PORT)

    page = console.page
    expect(page.get_by_role("log")).to_contain_text("STEP", timeout=JOB_MS)
    keep_picture(page, "app_deploying")
    app_page = f"{console.url}/console/apps/{app_id}"
    keep_looks(other_looks, app_page, "app_page_deploying", shows=".step.now")
    keep_looks(other_looks, page.url, "app_deploying", shows=".step.now")
    console.wait_for_end("It succeeded.")
    steps = page.get_by_role("listitem")
    expect(steps.filter(has_text="Building the image").first).to_be_visible()

    page.get_by_label("Search the log").fill("STEP")
    expect(page.locator("[data-log=count]")).to_have_text(re.compile(r"\d"))
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download").click()
    assert "STEP" in loading.value.path().read_text()

    assert answer_of(console.address_of(app_id)).status_code == 200


def test_a_failed_deploy_says_why_and_what_to_do(
    console: Console, shop: str, other_looks: dict[str, Page]
) -> None:
    before = requests.get(console.address_of(shop), timeout=10)
    broken = variable("FUNAI_DEMO_IMAGE").rpartition(":")[0] + ":exits"
    console.deploy_image(shop, broken, DEMO_PORT)
    console.wait_for_end("It failed.")

    expect(console.page.get_by_text("What to do:")).to_be_visible()
    expect(console.page.locator(".step.failed")).to_contain_text("Starting the new version")
    keep_picture(console.page, "app_failed")
    keep_looks(other_looks, console.page.url, "app_failed", shows=".step.failed")
    after = requests.get(console.address_of(shop), timeout=10)
    assert after.status_code == 200
    assert after.headers["X-App-Release"] == before.headers["X-App-Release"]


def test_one_click_goes_back_to_an_earlier_revision(console: Console, shop: str) -> None:
    first = requests.get(console.address_of(shop), timeout=10).headers["X-App-Release"]
    console.deploy_image(shop, variable("FUNAI_DEMO_IMAGE").rpartition(":")[0] + ":2", DEMO_PORT)
    console.wait_for_end("It succeeded.")
    second = requests.get(console.address_of(shop), timeout=10).headers["X-App-Release"]
    assert second != first

    page = console.page
    console.open(f"/console/apps/{shop}/revisions")
    page.get_by_role("button", name="Roll back").first.click()
    page.wait_for_url("**/console/jobs/*")
    console.wait_for_end("It succeeded.")
    assert requests.get(console.address_of(shop), timeout=10).headers["X-App-Release"] == first


@pytest.mark.expects_refusals
def test_a_wrong_field_is_named_and_what_was_typed_stays(console: Console, shop: str) -> None:
    page = console.page
    console.open(f"/console/apps/{shop}/deploy")
    page.get_by_role("radio", name="Git repository").check()
    page.get_by_role("textbox", name="Repository").fill("not an address")
    page.get_by_role("main").get_by_role("button", name="Deploy", exact=True).click()

    expect(page.get_by_text("One field needs a correction")).to_be_visible()
    expect(page.get_by_role("textbox", name="Repository")).to_have_value("not an address")
    expect(page.get_by_role("textbox", name="Repository")).to_have_attribute("aria-invalid", "true")


def test_the_apps_own_log_shows(console: Console, shop: str) -> None:
    requests.get(console.address_of(shop), timeout=10)
    console.open(f"/console/apps/{shop}/log")
    expect(console.page.get_by_role("log")).to_contain_text(re.compile(r"\w{4}"))


@pytest.mark.expects_refusals
def test_an_app_is_deleted_only_when_its_id_is_typed(
    console: Console, new_app_id: Callable[[str], str]
) -> None:
    app_id = new_app_id("gone")
    console.make_app(app_id)
    page = console.page
    for typed, remains in (("another", True), (app_id, False)):
        console.open(f"/console/apps/{app_id}/settings")
        form = page.locator(f"form[action='/console/apps/{app_id}/delete']")
        form.locator("input:not([type=hidden])").fill(typed)
        form.get_by_role("button").click()
        page.wait_for_load_state()
        console.open("/")
        expect(page.get_by_role("link", name=app_id)).to_have_count(int(remains))
