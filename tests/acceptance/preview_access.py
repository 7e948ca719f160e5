"""Whether previews are for those who sign in, and the cookies of somebody who may see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.acceptance.live_platform import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.live_platform import Platform

TIMEOUT = 10  # seconds
#: Made by Ansible; an operator may see every preview.
OPERATOR = "admin"
GATEWAY_FILE = "/etc/nginx/sites-enabled/default"
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def is_guarded(platform: Platform, connect: Callable[[str], Any]) -> bool:
    """Return whether the preview gateway was converged to ask who may see a preview."""
    host = connect(next(iter(platform.hosts["workspace"])))
    return "auth_request" in host.check_output("cat %s", GATEWAY_FILE)


def cookie(platform: Platform, connect: Callable[[str], Any]) -> str:
    """Return the cookies of somebody who may see every preview; none where everybody may."""
    return sign_in(platform) if is_guarded(platform, connect) else ""


def sign_in(platform: Platform) -> str:
    """Sign in to the console as the operator that Ansible made, and return the cookies."""
    url = platform.settings["platform_console_url"]
    if not url:
        pytest.skip("previews are for those who sign in, and there is no platform_console_url")
    try:
        password = platform.credential("first_operator_password")
    except PlatformError as exc:
        pytest.skip(f"previews are for those who sign in: {exc}")
    with requests.Session() as session:
        session.trust_env = False
        form = session.get(f"{url}/sign-in", timeout=TIMEOUT)
        token = _CSRF.search(form.text)
        assert token, f"{url}/sign-in has no form: {form.status_code}"
        answer = session.post(
            f"{url}/sign-in",
            data={"csrf_token": token[1], "name": OPERATOR, "password": password},
            headers={"Origin": url},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        if answer.status_code != requests.codes.found and not platform.is_lab:
            # Its owner changes it after the first time, as the inventory asks.
            pytest.skip("the first operator's password is no longer that of the inventory")
        assert answer.status_code == requests.codes.found
        return "; ".join(f"{name}={value}" for name, value in session.cookies.items())
