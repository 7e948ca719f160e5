"""Lists the demo app in the console, as an operator would an app that was there before it."""

from __future__ import annotations

import re

import requests

from lab import demo_app, health, identity
from lab.process import LabError

OPERATOR = "admin"
_TIMEOUT_SECONDS = 10
_FOUND, _CONFLICT = 302, 409
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def ensure_listed() -> str:
    """List the demo app unless it is listed; return what was done.

    :raises LabError: where the console does not answer as it should
    """
    client = health.session()
    client.headers["Origin"] = health.CONSOLE_URL
    try:
        if not _sign_in(client):
            return "not listed by us: the first operator has another password by now"
        body = {"appId": demo_app.APP_ID, "name": "Demo"}
        answer = client.post(
            f"{health.CONSOLE_URL}/api/v1/apps", json=body, timeout=_TIMEOUT_SECONDS
        )
    except requests.RequestException as error:
        message = (
            f"{health.CONSOLE_URL} does not answer: {type(error).__name__}; ./dev logs console"
        )
        raise LabError(message, host="api-01") from error
    if not answer.ok and answer.status_code != _CONFLICT:
        message = f"the console answered {answer.status_code}: {answer.text[:300]}"
        raise LabError(message, host="api-01")
    return "is listed" if answer.status_code == _CONFLICT else "listed"


def _sign_in(client: requests.Session) -> bool:
    page = client.get(f"{health.CONSOLE_URL}/sign-in", timeout=_TIMEOUT_SECONDS)
    token = _TOKEN.search(page.text)
    fields = {
        "csrf_token": token[1] if token else "",
        "name": OPERATOR,
        "password": identity.secret("first_operator_password"),
    }
    url = f"{health.CONSOLE_URL}/sign-in"
    answer = client.post(url, data=fields, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    return answer.status_code == _FOUND
