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
from babel.messages.catalog import Catalog
from flask import g, request

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
    return _translations().gettext(text)


def translate_number(singular: str, plural: str, number: int) -> str:
    """Return a text about so many things."""
    return _translations().ngettext(singular, plural, number)


def later(text: str) -> str:
    """Mark a text of a table: it is a msgid, and is translated where it is shown."""
    return text


def _translations() -> gettext.NullTranslations:
    """Return the texts for the page in hand, which asks for some hundreds of them."""
    found: gettext.NullTranslations | None = g.get("translations")
    if found is None:
        found = g.translations = _catalogue(current())
    return found


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    """Return the texts of all areas as one."""
    whole = Catalog(locale=language)
    for path in sorted((_FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            for message in pofile.read_po(file, locale=language):
                if message.id:
                    whole[message.id] = message
    compiled = io.BytesIO()
    mofile.write_mo(compiled, whole)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
