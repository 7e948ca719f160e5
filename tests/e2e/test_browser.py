"""What the other tests stand on: the lab is reached, and Chinese text has glyphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEMO_PATH = "/apps/demo/"
#: Two characters that differ look alike only where the font has neither.
TELLS_GLYPHS_APART = """([one, other]) => {
    const draw = (text) => {
        const canvas = document.createElement("canvas");
        const pen = canvas.getContext("2d");
        pen.font = "40px sans-serif";
        pen.fillText(text, 10, 60);
        return canvas.toDataURL();
    };
    return draw(one) !== draw(other);
}"""


def test_the_demo_app_opens(page: Page, edge_url: str) -> None:
    answer = page.goto(f"{edge_url}{DEMO_PATH}")

    assert answer is not None
    assert answer.status == 200


def test_chinese_text_has_glyphs(page: Page) -> None:
    page.set_content("<p>部署</p>")

    assert page.evaluate(TELLS_GLYPHS_APART, ["部", "署"])


def test_accessibility_rules_find_a_picture_without_text(page: Page) -> None:
    page.set_content('<html lang="zh"><title>t</title><main><img src="data:,"></main></html>')

    broken = {each["id"] for each in Axe().run(page).response["violations"]}

    assert "image-alt" in broken
