"""In which language a page speaks: the account's, the browser's choice, or the browser's own.

Texts are the msgids of ``translations/<language>/*.po``, one file per area, read at the start: nothing has to be
compiled when the service is installed.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages import mofile, pofile
from flask import request

from funai.api import access
from funai.api.accounts.model import LANGUAGES

if TYPE_CHECKING:
    from flask import Flask

COOKIE = "funai_language"
_FOLDER = Path(__file__).parent / "translations"
_DEFAULT = "en"


def install(app: Flask) -> None:
    """Let templates translate: ``{{ _("...") }}``, ``{% trans %}``."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(translate, translate_number, newstyle=True)  # type: ignore[attr-defined]
    app.context_processor(lambda: {"language": current()})
    for language in LANGUAGES:
        _catalogue(language)


def current() -> str:
    """Return the language of the page in hand."""
    found = access.account_or_none()
    if found and found.language in LANGUAGES:
        return found.language
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or _DEFAULT


def translate(text: str) -> str:
    """Return a text in the language of the page in hand."""
    return _catalogue(current()).gettext(text)


def translate_number(singular: str, plural: str, number: int) -> str:
    """Return a text about so many things."""
    return _catalogue(current()).ngettext(singular, plural, number)


def later(text: str) -> str:
    """Mark a text of a table: it is a msgid, and is translated where it is shown."""
    return text


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    found = gettext.NullTranslations()
    for path in sorted((_FOLDER / language).glob("*.po")):
        area = _read(path, language)
        area.add_fallback(found)
        found = area
    return found


def _read(path: Path, language: str) -> gettext.GNUTranslations:
    with path.open("rb") as file:
        catalogue = pofile.read_po(file, locale=language)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
