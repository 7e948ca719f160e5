"""What pages say of an error: beside a field, beside a form, or on a page of its own with what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import make_response

from funai.api.errors import InvalidInputError
from funai.api.web.language import later, translate
from funai.api.web.phrases import said

if TYPE_CHECKING:
    from flask import Response

    from funai.api.errors import ApiError

_TITLES = {
    400: later("This cannot be done as asked"),
    401: later("You are not signed in"),
    403: later("This is not allowed"),
    404: later("There is nothing here"),
    405: later("This page cannot do that"),
    409: later("This does not fit the present state"),
    413: later("This is too large"),
    429: later("Too many tries"),
    500: later("Something failed on our side"),
    503: later("Deploy cannot be reached"),
}
_ADVICE = {
    400: later("Go back, correct what the sentence above names, and send it again."),
    401: later("Sign in, then open the page again."),
    403: later(
        "If it should be yours, ask an operator. If you sent a form, reload its page and send it again."
    ),
    404: later("Look whether the address is right. Apps of other people are not shown to you."),
    405: later("Open the page from the menu above."),
    409: later("Open the page anew to see how things stand now, then try again."),
    413: later("Send less at once."),
    429: later("Wait for the time named above, then try again."),
    500: later("Try again. If it stays so, tell an operator what you did and when."),
    503: later(
        "Apps that run go on running, and nothing was lost. Try again in a moment; if it stays so, tell an operator."
    ),
}


def title(status: int) -> str:
    """Return what kind of error this is."""
    return translate(_TITLES.get(status, _TITLES[500]))


def advice(status: int) -> str:
    """Return what to do next."""
    return translate(_ADVICE.get(status, _ADVICE[500]))


def answer(page: str, refused: ApiError | None = None) -> Response:
    """Return a page, or a form with why it was refused, with the status and the wait that belong to it."""
    response = make_response(page, refused.status if refused else 200)
    if refused and refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def of_form(refused: ApiError | None) -> tuple[dict[str, str], str | None]:
    """Return which field is wrong and why, or a sentence for the whole form."""
    if refused is None:
        return {}, None
    if isinstance(refused, InvalidInputError):
        return {refused.field: said(refused.rule)}, None
    return {}, said(refused)
