"""What a button does: try it, say what came of it, and go back to a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import flash, redirect

from funai.api.errors import ApiError, UnknownError
from funai.api.web.phrases import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug import Response


def act(action: Callable[[], object], done: str, back: str, refused: str | None = None) -> Response:
    """Do something and go on to ``back``; a refusal is said there.

    :param done: what to say when it went well
    :param refused: where to go on after a refusal instead
    :raises UnknownError: there is no page to go back to
    """
    try:
        action()
    except UnknownError:
        raise
    except ApiError as exc:
        flash(said(exc), "error")
        return redirect(refused or back)
    flash(done)
    return redirect(back)
