"""Apps that other clients of Deploy made: an operator sees them and says whose they are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.console import IMAGE, Runner, followed, words
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess

_NUMBERS = itertools.count(1)


@pytest.fixture
def app_id(shared_api: ApiProcess) -> str:
    """An app that runs, of which only Deploy knows."""
    app_id, runner = f"theirs-{next(_NUMBERS)}", Runner(shared_api)
    payload = {"appId": app_id, "userId": 2, "image": IMAGE}
    body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
    _, made = shared_api.deploy.call("POST", "/deploy/jobs", body, API)
    runner.run(made["data"]["id"])
    return app_id


@pytest.mark.parametrize("tab", ["", "/deploy", "/jobs", "/revisions", "/log", "/settings"])
def test_an_operator_is_told_that_the_app_has_no_owner(
    shared_api: ApiProcess, app_id: str, tab: str
) -> None:
    answer = shared_api.browser("ada").get(f"/console/apps/{app_id}{tab}")

    assert answer.status_code == 200
    assert f"App {app_id} has no owner here yet" in words(answer)
    assert "Give it an owner" in words(answer)
    assert 'value="bob"' in answer.text
    assert "/console/jobs/" in answer.text


def test_it_is_said_in_chinese_too(shared_api: ApiProcess, app_id: str) -> None:
    ada = shared_api.browser("ada")
    answer = ada.get(f"/console/apps/{app_id}", headers={"Accept-Language": "zh"})

    assert f"应用 {app_id} 在这里还没有所有者" in words(answer)


@pytest.mark.parametrize("owner", ["bob", " BOB ", "2"])
def test_the_owner_that_an_operator_names_has_the_app(
    shared_api: ApiProcess, app_id: str, owner: str
) -> None:
    ada, page = shared_api.browser("ada"), f"/console/apps/{app_id}"
    bob = shared_api.browser("bob")
    assert bob.get(page).status_code == 404

    done = followed(ada, ada.submit(page, f"{page}/owner", owner=owner))

    assert f"App {app_id} belongs to bob now." in words(done)
    assert "has no owner" not in words(done)
    assert bob.get(page).status_code == 200
    assert shared_api.browser("eve").get(page).status_code == 404


@pytest.mark.parametrize("owner", ["nobody", "", "4711", "9" * 5000])
def test_an_owner_that_nobody_is_is_refused_with_what_to_do(
    shared_api: ApiProcess, app_id: str, owner: str
) -> None:
    ada, page = shared_api.browser("ada"), f"/console/apps/{app_id}"

    refused = ada.submit(page, f"{page}/owner", owner=owner)

    assert refused.status_code == 400
    assert "no account has this name or id; look under Accounts" in words(refused)
    assert f'value="{owner}"' in refused.text
    assert "has no owner here yet" in words(ada.get(page))


def test_an_app_that_has_got_an_owner_meanwhile_keeps_it(
    shared_api: ApiProcess, app_id: str
) -> None:
    ada, page = shared_api.browser("ada"), f"/console/apps/{app_id}"
    ada.submit(page, f"{page}/owner", owner="bob")

    done = followed(ada, ada.submit("/", f"{page}/owner", owner="eve"))

    assert f"App {app_id} has an owner already." in words(done)
    assert shared_api.browser("bob").get(page).status_code == 200


def test_a_user_learns_nothing_of_it_and_gives_it_to_nobody(
    shared_api: ApiProcess, app_id: str
) -> None:
    eve, page = shared_api.browser("eve"), f"/console/apps/{app_id}"

    hidden = eve.get(page)
    refused = eve.submit("/", f"{page}/owner", owner="eve")

    assert hidden.status_code == 404
    assert "does not exist, or is not yours" in words(hidden)
    assert refused.status_code == 403
    assert eve.get(page).status_code == 404


def test_the_form_needs_its_token(shared_api: ApiProcess, app_id: str) -> None:
    ada, page = shared_api.browser("ada"), f"/console/apps/{app_id}"

    assert ada.post(f"{page}/owner", data={"owner": "bob"}).status_code == 403
    assert "has no owner here yet" in words(ada.get(page))


def test_an_app_that_deploy_does_not_know_is_not_there(shared_api: ApiProcess) -> None:
    answer = shared_api.browser("ada").get("/console/apps/no-such-app")

    assert answer.status_code == 404
