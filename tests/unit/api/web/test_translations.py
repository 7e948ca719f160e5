"""Every text of the console has its Chinese, and fits it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages import pofile
from babel.messages.extract import extract

from funai.api import web

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = Path(web.__file__).parent
CATALOGUES = sorted((WEB / "translations" / "zh").glob("*.po"))
KEYWORDS = {
    "_": None,
    "later": None,
    "translate": None,
    "ngettext": (1, 2),
    "translate_number": (1, 2),
    "_number": (1, 2),
}
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")


def _extracted(path: Path) -> Iterator[str]:
    is_python = path.suffix == ".py"
    method = "python" if is_python else "jinja2.ext:babel_extract"
    options = {} if is_python else {"extensions": "jinja2.ext.i18n", "trimmed": "true"}
    with path.open("rb") as file:
        for _, message, _, _ in extract(method, file, KEYWORDS, options=options):
            yield message[0] if isinstance(message, tuple) else message


def _texts() -> dict[str, str]:
    paths = [*sorted(WEB.glob("*.py")), *sorted((WEB / "templates").rglob("*.html"))]
    return {text: path.name for path in paths for text in _extracted(path)}


def _chinese() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in CATALOGUES:
        with path.open("rb") as file:
            for message in pofile.read_po(file):
                if message.id:
                    key = message.id[0] if isinstance(message.id, tuple) else message.id
                    text = message.string
                    found[str(key)] = text[0] if isinstance(text, tuple) else str(text)
    return found


def test_every_text_has_its_chinese() -> None:
    chinese = _chinese()
    missing = {text: name for text, name in _texts().items() if not chinese.get(text)}
    assert not missing


def test_a_translation_fills_in_what_its_text_does() -> None:
    wrong = {
        text: chinese
        for text, chinese in _chinese().items()
        if Counter(PLACES.findall(text)) != Counter(PLACES.findall(chinese))
    }
    assert not wrong


def test_no_text_is_translated_in_two_areas() -> None:
    seen: Counter[str] = Counter()
    for path in CATALOGUES:
        with path.open("rb") as file:
            seen.update(str(message.id) for message in pofile.read_po(file) if message.id)
    assert [text for text, times in seen.items() if times > 1] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_no_translation_is_left_over(path: Path) -> None:
    texts = _texts()
    with path.open("rb") as file:
        ids = [m.id[0] if isinstance(m.id, tuple) else m.id for m in pofile.read_po(file) if m.id]
    assert [text for text in ids if text not in texts] == []


@pytest.mark.parametrize(
    "path", sorted((WEB / "templates").rglob("*.html")), ids=lambda path: path.name
)
def test_only_texts_of_the_template_itself_are_trusted_as_html(path: Path) -> None:
    # ``_`` takes what it returns for HTML: a service's sentence would not be escaped.
    assert re.findall(r"""(?<![\w.])_\((?!["'])[^)]*\)""", path.read_text()) == []
