"""Who gets in, and what other sites cannot do with somebody's browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.api.process import PASSWORD, PREVIEW_TOKEN, PUBLIC_URL, run_api_command

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess
    from tests.integration.deploy_process import Schema


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(api: ApiProcess) -> None:
    wrong = api.browser().sign_in("bob", "wrong password")
    unknown = api.browser().sign_in("nobody", "wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert "name or password is wrong" in wrong.text
    assert "name or password is wrong" in unknown.text


def test_too_many_tries_are_refused_even_with_the_right_password(api: ApiProcess) -> None:
    browser = api.browser()
    for _ in range(10):
        assert browser.sign_in("bob", "wrong password").status_code == 401
    refused = browser.sign_in("bob", PASSWORD)
    assert refused.status_code == 429
    assert "minutes" in refused.text
    assert api.browser().sign_in("eve", PASSWORD).status_code == 302


def test_a_session_ends_with_sign_out(api: ApiProcess) -> None:
    browser = api.browser("bob")
    stolen = dict(browser.session.cookies)
    assert browser.submit("/", "/sign-out").status_code == 302
    answer = requests.get(api.url + "/", cookies=stolen, timeout=10, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_another_origin_cannot_sign_somebody_out_or_in(api: ApiProcess, origin: str) -> None:
    browser = api.browser("bob")
    refused = browser.post("/sign-out", headers={"Origin": origin})
    assert refused.status_code == 403
    assert browser.get("/").status_code == 200


def test_a_form_without_its_token_is_refused(api: ApiProcess) -> None:
    browser = api.browser("bob")
    assert browser.post("/sign-out").status_code == 403
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_signing_in_leads_nowhere_else(api: ApiProcess, path: str) -> None:
    answer = api.browser().submit("/sign-in", "/sign-in", name="bob", password=PASSWORD, next=path)
    assert answer.headers["Location"] == "/"


def test_signing_in_leads_back_to_the_preview_on_the_origin_of_the_apps(api: ApiProcess) -> None:
    path = "/ws/2/page?x=1"
    answer = api.browser().submit("/sign-in", "/sign-in", name="bob", password=PASSWORD, next=path)
    assert answer.headers["Location"] == f"{PUBLIC_URL}{path}"


def test_only_the_form_to_sign_in_may_lead_to_the_origin_of_the_apps(api: ApiProcess) -> None:
    browser = api.browser()
    form = [browser.get("/sign-in?next=/ws/2/"), *(browser.sign_in("bob", "no") for _ in range(11))]
    others = [browser.get("/nowhere"), api.browser("eve").get("/")]

    policies = [answer.headers["Content-Security-Policy"] for answer in form]
    assert {answer.status_code for answer in form} == {200, 401, 429}
    assert {f"form-action 'self' {PUBLIC_URL};" in policy for policy in policies} == {True}
    assert not any(PUBLIC_URL in answer.headers["Content-Security-Policy"] for answer in others)


def test_a_preview_is_for_its_user_and_for_operators(api: ApiProcess) -> None:
    headers = {"X-Preview-Token": PREVIEW_TOKEN, "X-Preview-User": "2"}
    asked = {
        name: api.browser(name).get("/internal/preview-access", headers=headers).status_code
        for name in (None, "ada", "bob", "eve")
    }
    assert asked == {None: 401, "ada": 204, "bob": 204, "eve": 403}
    answer = api.browser("bob").get("/internal/preview-access", headers={"X-Preview-User": "2"})
    assert answer.status_code == 403


def test_the_first_operator_is_made_once(api: ApiProcess, database: Schema) -> None:
    assert api.url
    named = {"API_FIRST_OPERATOR_NAME": "root-of-all", "API_FIRST_OPERATOR_PASSWORD": PASSWORD}
    said = [
        run_api_command(database, "first-operator", *argv, **named).stdout.strip()
        for argv in (["--check"], [], [], ["--check"])
    ]
    assert said == ["changed", "changed", "unchanged", "unchanged"]


def test_a_page_says_who_may_frame_and_script_it(api: ApiProcess) -> None:
    answer = api.browser().get("/sign-in")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
