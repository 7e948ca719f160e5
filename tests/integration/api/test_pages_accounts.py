"""The queue, one's own account, and operators' work on accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.api.console import Runner, deploy, followed, new_app, words
from tests.integration.api.process import PASSWORD

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess

NEW = "another horse battery"


def test_the_queue_says_what_waits_and_what_runs_and_hides_whose(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    assert "Nothing waits, nothing runs" in words(bob.get("/console/queue"))
    app_id = new_app(bob, "Bobs own thing")
    job_id = deploy(bob, app_id)
    seen = words(bob.get("/console/queue"))
    assert "Bobs own thing" in seen
    assert "It waits for a free runner" in seen or "No runner has asked" in seen
    foreign = shared_api.browser("eve").get("/console/queue")
    assert "another user's app" in words(foreign)
    for secret in ("Bobs own thing", app_id, job_id, "registry.test"):
        assert secret not in foreign.text
    assert "Bobs own thing" in words(shared_api.browser("ada").get("/console/queue"))
    job = runner.take(job_id)
    runner.phase(job, "DEPLOY")
    assert "Starting the new version" in words(
        bob.get("/console/queue/state.json").json()["parts"]["queue"]
    )
    runner.end(job)


def test_a_token_is_shown_once_and_works_until_it_is_removed(shared_api: ApiProcess) -> None:
    eve = shared_api.browser("eve")
    made = eve.submit("/console/account", "/console/account/tokens", name="ci")
    token = re.findall(r"<code>(funai_[\w-]+)</code>", made.text)[0]
    page = eve.get("/console/account")
    assert token not in page.text
    assert "ci" in words(page)
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(shared_api.url + "/", headers=headers, timeout=10).status_code == 200
    twice = eve.submit("/console/account", "/console/account/tokens", name="ci")
    assert twice.status_code == 409
    assert "A token named ci exists already" in words(twice)
    wrong = eve.submit("/console/account", "/console/account/tokens", name="<>")
    assert wrong.status_code == 400
    action = re.findall(r'action="(/console/account/tokens/\d+/remove)"', page.text)[0]
    bob = shared_api.browser("bob")
    assert bob.submit("/console/account", action).status_code == 404
    assert "The token is removed" in words(followed(eve, eve.submit("/console/account", action)))
    answer = requests.get(
        shared_api.url + "/console/account", headers=headers, timeout=10, allow_redirects=False
    )
    assert answer.status_code == 302


def test_a_password_is_changed_by_who_knows_the_present_one(api: ApiProcess) -> None:
    bob, elsewhere = api.browser("bob"), api.browser("bob")
    page, action = "/console/account", "/console/account/password"
    for fields, says in (
        ({"old": "wrong one", "password": NEW, "again": NEW}, "is wrong"),
        ({"old": PASSWORD, "password": NEW, "again": "x"}, "is not the same"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "must have 10 to 256"),
    ):
        refused = bob.submit(page, action, **fields)
        assert refused.status_code == 400
        assert says in words(refused)
        assert NEW not in refused.text
    done = followed(bob, bob.submit(page, action, old=PASSWORD, password=NEW, again=NEW))
    assert "The password is changed" in words(done)
    assert elsewhere.get("/").status_code == 302
    assert api.browser().sign_in("bob", PASSWORD).status_code == 401
    assert api.browser().sign_in("bob", NEW).status_code == 302


def test_a_new_password_of_an_operator_takes_the_accounts_tokens_away(api: ApiProcess) -> None:
    of_bob, of_eve = api.program("bob"), api.program("eve")
    ada, page = api.browser("ada"), "/console/accounts"
    assert "Its sessions end and its tokens are removed." in words(ada.get(page))
    done = followed(ada, ada.submit(page, f"{page}/2/password", password=NEW))
    assert "Its tokens, if it had any, are removed." in words(done)
    assert of_bob.call("GET", "/api/v1/me")[0] == 401
    assert of_eve.call("GET", "/api/v1/me")[0] == 200


def test_a_password_that_is_refused_takes_no_token_away(api: ApiProcess) -> None:
    program, ada, page = api.program("bob"), api.browser("ada"), "/console/accounts"
    refused = followed(ada, ada.submit(page, f"{page}/2/password", password="short"))
    assert "must have 10 to 256" in words(refused)
    assert program.call("GET", "/api/v1/me")[0] == 200


def test_ones_own_new_password_leaves_the_tokens_and_says_so(api: ApiProcess) -> None:
    program, bob = api.program("bob"), api.browser("bob")
    page, action = "/console/account", "/console/account/password"
    assert '<a href="#tokens">' in bob.get(page).text
    done = followed(bob, bob.submit(page, action, old=PASSWORD, password=NEW, again=NEW))
    assert "your tokens stay" in words(done)
    assert program.call("GET", "/api/v1/me")[0] == 200


def test_present_passwords_are_not_guessed_on(api: ApiProcess) -> None:
    bob = api.browser("bob")
    for _ in range(10):
        bob.submit(
            "/console/account", "/console/account/password", old="guess", password=NEW, again=NEW
        )
    refused = bob.submit(
        "/console/account", "/console/account/password", old=PASSWORD, password=NEW, again=NEW
    )
    assert refused.status_code == 429
    assert "Too many failed tries" in words(refused)


def test_an_operator_makes_disables_and_resets_accounts(api: ApiProcess) -> None:
    ada, page = api.browser("ada"), "/console/accounts"
    fields = {"name": "Zoe", "password": NEW, "role": "user", "id": "4711"}
    made = followed(ada, ada.submit(page + "?new=1", page, **fields))
    assert "Account zoe is made" in words(made)
    zoe = api.browser()
    assert zoe.sign_in("zoe", NEW).status_code == 302
    twice = ada.submit(page, page, **fields)
    assert twice.status_code == 409
    assert NEW not in twice.text
    followed(ada, ada.submit(page, f"{page}/4711/enabled", enabled="no"))
    assert zoe.get("/").status_code == 302
    assert api.browser().sign_in("zoe", NEW).status_code == 401
    followed(ada, ada.submit(page, f"{page}/4711/enabled", enabled="yes"))
    done = followed(ada, ada.submit(page, f"{page}/4711/password", password=PASSWORD))
    assert "has a new password" in words(done)
    assert api.browser().sign_in("zoe", PASSWORD).status_code == 302
    own = followed(ada, ada.submit(page, f"{page}/1/enabled", enabled="no"))
    assert "you cannot disable the account" in words(own)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "no good"), ("password", "short"), ("id", "x"), ("id", "0"), ("role", "god")],
)
def test_a_wrong_account_is_refused_with_what_was_typed(
    shared_api: ApiProcess, field: str, value: str
) -> None:
    ada, page = shared_api.browser("ada"), "/console/accounts"
    fields = {"name": "yan", "password": NEW, "role": "user", "id": "", field: value}
    answer = ada.submit(page, page, **fields)
    assert answer.status_code == 400
    assert f'value="{fields["name"]}"' in answer.text
    assert NEW not in answer.text
    assert "yan" not in words(ada.get(page))


def test_who_is_signed_out_over_a_form_is_shown_the_way_in(shared_api: ApiProcess) -> None:
    answer = shared_api.browser().submit("/sign-in", "/console/apps", appId="later")
    assert answer.status_code == 401
    assert 'href="/sign-in"' in answer.text
    assert "You are not signed in" in words(answer)


def test_accounts_are_for_operators(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    refused = bob.get("/console/accounts")
    assert refused.status_code == 403
    assert "This is not allowed" in words(refused)
    assert "/console/accounts" not in bob.get("/").text
    for action in ("", "/1/enabled", "/1/password"):
        answer = bob.submit("/", f"/console/accounts{action}", enabled="no", password=NEW)
        assert answer.status_code == 403
