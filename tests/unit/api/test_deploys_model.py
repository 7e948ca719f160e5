"""What goes to Deploy for an account, and what the account sees of it."""

from __future__ import annotations

from typing import Any

import pytest

from funai.api.accounts.model import Account, Role
from funai.api.apps.model import App
from funai.api.deploys import model
from funai.api.errors import ForbiddenError, InvalidInputError
from funai.contract.source import app_image_name

USER = Account(2, "bob", Role.USER, enabled=True)
OPERATOR = Account(1, "ada", Role.OPERATOR, enabled=True)
GIT = {"repoUrl": "https://git.test/team/app.git", "commit": "main", "buildContext": "web"}
NODE = {
    "id": {"value": 7},
    "name": "runtime-01",
    "agentBaseUrl": "http://192.0.2.7:7005",
    "gatewayBaseUrl": "http://192.0.2.7",
}


def job(**members: Any) -> dict[str, Any]:
    found = {
        "id": "j",
        "appId": "shop",
        "runtimeNode": NODE,
        "deployUrl": "http://192.0.2.7/apps/shop/",
        "publicUrl": None,
        "idempotencyKey": None,
    }
    return {**found, **members}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, GIT, id="as the last time"),
        pytest.param({"commit": "v2"}, {**GIT, "commit": "v2"}, id="another commit"),
        pytest.param(
            {"gitRef": "v2"},
            {"repoUrl": GIT["repoUrl"], "buildContext": "web", "gitRef": "v2"},
            id="its earlier name",
        ),
        pytest.param({"image": "r.test/a:1"}, {"image": "r.test/a:1"}, id="another source"),
        pytest.param(
            {"repoSshUrl": "git@git.test:b.git"}, {"repoSshUrl": "git@git.test:b.git"}, id="ssh"
        ),
        pytest.param({"commit": "", "image": None}, GIT, id="empty members"),
        pytest.param({"appId": "other", "userId": 9}, GIT, id="ids of the body"),
    ],
)
def test_a_payload_is_completed_by_the_last_source(
    asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    payload = model.payload_of(App("shop", 2, "Shop", GIT), asked, 2)

    assert payload == {**expected, "appId": "shop", "userId": 2}


@pytest.mark.parametrize(
    ("source", "asked", "says"),
    [
        pytest.param({}, {}, "shop", id="nothing"),
        pytest.param({}, {"commit": "main"}, "repoUrl", id="a commit of nothing"),
        pytest.param({}, {"source": "archive"}, "archiveUrl", id="half an archive"),
        pytest.param(GIT, {"buildContext": "../x"}, "buildContext", id="a path outside"),
    ],
)
def test_a_payload_that_cannot_be_deployed_is_refused(
    source: dict[str, Any], asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        model.payload_of(App("shop", 2, "Shop", source), asked, 2)


def test_a_source_is_remembered_by_todays_names() -> None:
    payload = {"repoSshUrl": "git@git.test:b.git", "gitRef": "v2", "userId": 2, "healthPath": "/up"}

    assert model.source_of(payload) == {"repoUrl": "git@git.test:b.git", "commit": "v2"}


@pytest.mark.parametrize("app_id", ["shop", "Shop_2", "a--b"])
@pytest.mark.parametrize("field", ["image", "imageRepo"])
def test_what_was_built_for_somebody_else_is_refused(app_id: str, field: str) -> None:
    theirs = f"registry.test:5000/funai/{app_image_name('3', app_id)}"

    for value in (
        theirs,
        f"{theirs}:1",
        f"{theirs}@sha256:{'0' * 64}",
        app_image_name("3", app_id),
    ):
        with pytest.raises(ForbiddenError, match=field):
            model.check_images({field: value}, 2)
    model.check_images({field: theirs.replace("u3-", "u2-")}, 2)


@pytest.mark.parametrize("image", ["nginx", "r.test/u3/app:1", "r.test/a:u3-app", "r.test/v3-app"])
def test_other_images_are_anybodys(image: str) -> None:
    model.check_images({"image": image}, 2)


def test_keys_of_two_users_never_meet() -> None:
    other = Account(22, "eve", Role.USER, enabled=True)
    keys = {model.key_of(who, key) for who in (USER, other) for key in ("1", "2:1", "k" * 128)}

    assert len(keys) == 6
    assert all(key and len(key) <= 128 for key in keys)
    assert model.key_of(OPERATOR, "1") == "1"
    assert model.key_of(USER, None) is None


@pytest.mark.parametrize("key", ["", "k" * 129, "a\nb", "ключ"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(InvalidInputError, match="Idempotency-Key"):
        model.key_of(USER, key)


@pytest.mark.parametrize(
    ("public_url", "members", "address"),
    [
        pytest.param("https://a.test", {}, "https://a.test/apps/shop/", id="our edge"),
        pytest.param(
            "", {"publicUrl": "https://b.test/x/"}, "https://b.test/x/", id="deploys edge"
        ),
        pytest.param("", {}, "http://192.0.2.7/apps/shop/", id="no edge"),
        pytest.param("https://a.test", {"deployUrl": None}, None, id="not placed"),
    ],
)
def test_a_user_sees_where_the_app_answers_the_public(
    public_url: str, members: dict[str, Any], address: str | None
) -> None:
    assert model.show_job(USER, job(**members), public_url)["deployUrl"] == address
    assert model.show_job(OPERATOR, job(**members), public_url) == job(**members)


def test_a_user_sees_of_a_node_its_name_alone() -> None:
    seen = model.show_job(USER, job(idempotencyKey="u2:mine"), "")

    assert seen["runtimeNode"] == {"id": {"value": 7}, "name": "runtime-01"}
    assert seen["idempotencyKey"] == "mine"
    assert model.show_job(USER, job(runtimeNode=None), "")["runtimeNode"] is None


def test_an_app_that_never_ran_says_so() -> None:
    shown = model.show_app(USER, App("shop", 2, "Shop", GIT), None, "")

    assert (shown["state"], shown["job"], shown["source"]) == ("NOT_RUNNING", None, GIT)
