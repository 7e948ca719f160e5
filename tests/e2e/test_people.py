"""What each sees and does not see; languages, sizes, colours; who cannot see or use a mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import LAPTOP, PHONE, faults_of, keep_picture
from tests.e2e.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.e2e.conftest import Person

#: Pages that need no app of their own.
PATHS = ("/", "/console/queue", "/console/account", "/console/accounts", "/admin/nodes-admin.html")
LOOKS: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": LAPTOP},
    "dark": {"viewport": LAPTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True},
    "chinese": {"viewport": LAPTOP, "locale": "zh-CN"},
}


@pytest.fixture
def strangers_console(
    open_page: Callable[..., Page], console_url: str, other_user: Person
) -> Console:
    """Another user, signed in."""
    found = Console(open_page(), console_url)
    found.sign_in(other_user.name, other_user.password)
    return found


@pytest.mark.expects_refusals
def test_another_users_app_is_refused(
    console: Console, strangers_console: Console, new_app_id: Callable[[str], str]
) -> None:
    app_id = new_app_id("mine")
    console.make_app(app_id)

    answer = strangers_console.page.goto(f"{console.url}/console/apps/{app_id}")
    assert answer is not None
    assert answer.status == 404
    strangers_console.open("/")
    expect(strangers_console.page.get_by_text(app_id)).to_have_count(0)


@pytest.mark.expects_refusals
def test_operators_pages_are_refused_to_users(console: Console) -> None:
    for path in ("/admin/nodes-admin.html", "/console/accounts"):
        answer = console.page.goto(console.url + path)
        assert answer is not None
        assert answer.status == 403


@pytest.mark.parametrize("look", LOOKS)
def test_pages_fit_and_have_no_serious_fault(
    open_page: Callable[..., Page], console_url: str, operator: Person, look: str
) -> None:
    page = open_page(**LOOKS[look])
    page.goto(f"{console_url}/sign-in")
    assert faults_of(page, look) == []
    page.locator("input[name=name]").fill(operator.name)
    page.locator("input[name=password]").fill(operator.password)
    page.locator("main button").click()
    page.wait_for_url(f"{console_url}/")

    for path in (*PATHS, "/console/apps/demo", "/console/apps/demo/deploy"):
        answer = page.goto(console_url + path)
        assert answer is not None
        assert answer.status == 200, path
        assert faults_of(page, look) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{path} is {wide} px too wide"
        name = {"/": "console", "/admin/nodes-admin.html": "nodes"}.get(path)
        if name:
            keep_picture(page, name if look == "laptop" else f"{name}_{look}")


def test_the_language_can_be_chosen_and_stays(console: Console) -> None:
    page = console.page
    page.locator("summary").first.click()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="应用", exact=True)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.reload()
    expect(page.get_by_role("heading", name="应用", exact=True)).to_be_visible()
    page.locator("summary").first.click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()


def test_one_signs_in_with_the_keyboard_alone(
    open_page: Callable[..., Page], console_url: str, user: Person
) -> None:
    page = open_page()
    page.goto(f"{console_url}/sign-in")
    page.locator("input[name=name]").focus()
    page.keyboard.type(user.name)
    page.keyboard.press("Tab")
    page.keyboard.type(user.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
