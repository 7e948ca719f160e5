"""Git servers call, and what they push is deployed."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from funai.api.hooks.model import MAX_BODY
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess, Program

REPOSITORY = "https://git.test/team/app.git"
SHA = "0123456789abcdef0123456789abcdef01234567"
OTHER_SHA = "89abcdef0123456789abcdef0123456789abcdef"
_NUMBERS = itertools.count(1)


class Hook:
    """An app whose pushes to ``main`` are deployed, and its git server."""

    def __init__(self, api: ApiProcess, owner: Program, app_id: str) -> None:
        self.app_id = app_id
        self._api = api
        self._owner = owner
        source = {"repoUrl": REPOSITORY, "commit": "main", "dockerfilePath": "docker/Dockerfile"}
        job = owner.data("POST", f"/api/v1/apps/{app_id}/deploys", source)
        owner.data("POST", f"/api/v1/deploys/{job['id']}/cancel")
        made = owner.data("PUT", f"/api/v1/apps/{app_id}/hook", {"branch": "main"})
        self.secret: str = made["secret"]
        self.path: str = made["url"]

    def send(
        self, body: object, *, event: str = "push", delivery: str | None = None, **headers: str
    ) -> requests.Response:
        """Call as GitHub does."""
        sent = json.dumps(body).encode()
        digest = hmac.new(self.secret.encode(), sent, hashlib.sha256).hexdigest()
        return requests.post(
            self._api.url + self.path,
            data=sent,
            headers={
                "Content-Type": "application/json",
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery or f"delivery-{next(_NUMBERS)}",
                "X-Hub-Signature-256": f"sha256={digest}",
                **headers,
            },
            timeout=20,
        )

    def jobs(self) -> list[dict[str, Any]]:
        """Return the app's jobs since the hook was made, newest first."""
        found: list[dict[str, Any]] = self._owner.data("GET", f"/api/v1/apps/{self.app_id}/deploys")
        return found[:-1]


def push(sha: str = SHA, ref: str = "refs/heads/main", url: str = REPOSITORY) -> dict[str, Any]:
    return {"ref": ref, "after": sha, "deleted": False, "repository": {"clone_url": url}}


@pytest.fixture(scope="module")
def bob(shared_api: ApiProcess) -> Program:
    return shared_api.program("bob")


@pytest.fixture
def hook(shared_api: ApiProcess, bob: Program) -> Hook:
    return Hook(shared_api, bob, f"hooked-{next(_NUMBERS)}")


def test_a_push_deploys_its_commit(hook: Hook) -> None:
    answer = hook.send(push())

    assert answer.status_code == 200, answer.text
    (job,) = hook.jobs()
    assert answer.json()["data"]["job"] == {"id": job["id"], "status": "PENDING"}
    assert SHA in answer.json()["message"]
    payload = job["payload"]
    assert (payload["commit"], payload["repoUrl"]) == (SHA, REPOSITORY)
    assert payload["dockerfilePath"] == "docker/Dockerfile"
    assert payload["userId"] == 2
    assert "Set-Cookie" not in answer.headers


def test_the_newest_push_wins_and_a_repeated_call_makes_nothing(hook: Hook) -> None:
    first = hook.send(push(), delivery="delivery-first").json()["data"]["job"]["id"]
    again = hook.send(push(), delivery="delivery-first").json()["data"]["job"]["id"]
    newer = hook.send(push(OTHER_SHA)).json()["data"]["job"]["id"]

    assert first == again != newer
    assert [(job["id"], job["status"]) for job in hook.jobs()] == [
        (newer, "PENDING"),
        (first, "CANCELLED"),
    ]


def test_twenty_calls_at_once_make_one_job(hook: Hook) -> None:
    answers: list[requests.Response] = []

    def call() -> None:
        answers.append(hook.send(push(), delivery="delivery-of-many"))

    callers = [threading.Thread(target=call) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert {answer.status_code for answer in answers} == {200}
    assert len(hook.jobs()) == 1


@pytest.mark.parametrize(
    ("event", "body", "says"),
    [
        pytest.param("ping", {"zen": "x"}, "no push", id="ping"),
        pytest.param("push", push(ref="refs/heads/dev"), "branch", id="branch"),
        pytest.param("push", push(ref="refs/tags/v1"), "branches", id="tag"),
        pytest.param("push", push(sha="0" * 40), "deleted", id="deleted"),
        pytest.param(
            "push", push(url="https://git.test/team/b.git"), "repository", id="repository"
        ),
    ],
)
def test_what_does_not_count_is_ignored_in_a_sentence(
    hook: Hook, event: str, body: dict[str, Any], says: str
) -> None:
    answer = hook.send(body, event=event)

    assert (answer.status_code, answer.json()["code"]) == (200, 200)
    assert answer.json()["data"] == {"job": None}
    assert answer.json()["message"].startswith("ignored: ")
    assert says in answer.json()["message"]
    assert hook.jobs() == []


def test_an_unknown_app_and_a_wrong_secret_sound_the_same(
    hook: Hook, shared_api: ApiProcess, bob: Program
) -> None:
    bob.data("POST", "/api/v1/apps", {"appId": f"{hook.app_id}-plain"})
    hook.secret = "not the secret"
    answers = []
    for app_id in (hook.app_id, "nobody", f"{hook.app_id}-plain", "x" * 300, "%2e%2e", "a%00b"):
        hook.path = f"/hooks/git/{app_id}"
        answers.append(hook.send(push()))

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}
    unsigned = requests.post(f"{shared_api.url}/hooks/git/nobody", json=push(), timeout=10)
    assert unsigned.status_code == 401


def test_a_new_secret_ends_the_old_one_and_none_is_kept_readable(
    hook: Hook, shared_api: ApiProcess, bob: Program
) -> None:
    old = hook.secret
    hook.secret = bob.data(
        "PUT", f"/api/v1/apps/{hook.app_id}/hook", {"branch": "refs/heads/main"}
    )["secret"]

    assert hook.secret != old
    assert hook.send(push()).status_code == 200
    (row,) = shared_api.deploy.schema.rows(
        "SELECT * FROM fun_ai_api_app WHERE app_id = %s", hook.app_id
    )
    assert hook.secret.encode() not in row["hook_secret"]
    assert hook.secret not in json.dumps(bob.data("GET", f"/api/v1/apps/{hook.app_id}"))
    hook.secret = old
    assert hook.send(push()).status_code == 401


def test_a_hook_that_is_off_deploys_nothing(hook: Hook, bob: Program) -> None:
    bob.data("DELETE", f"/api/v1/apps/{hook.app_id}/hook")

    assert hook.send(push()).status_code == 401
    assert hook.jobs() == []


def test_an_app_that_went_over_to_an_image_ignores_pushes(hook: Hook, bob: Program) -> None:
    body = {"image": "registry.test/app:1", "onConflict": "supersede"}
    bob.data("POST", f"/api/v1/apps/{hook.app_id}/deploys", body)

    answer = hook.send(push())

    assert answer.status_code == 200
    assert "git repository" in answer.json()["message"]


def test_the_hook_of_an_app_without_a_repository_is_refused(bob: Program) -> None:
    app_id = f"plain-{next(_NUMBERS)}"
    bob.data("POST", "/api/v1/apps", {"appId": app_id})

    status, body = bob.call("PUT", f"/api/v1/apps/{app_id}/hook", {"branch": "main"})

    assert status == 409
    assert "git repository" in body["message"]


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", None, 7, "x" * 256])
def test_a_branch_that_git_would_not_take_is_refused(hook: Hook, bob: Program, branch: Any) -> None:
    status, body = bob.call("PUT", f"/api/v1/apps/{hook.app_id}/hook", {"branch": branch})

    assert status == 400
    assert "branch" in body["message"]


def test_another_user_has_no_say_about_a_hook(hook: Hook, shared_api: ApiProcess) -> None:
    eve = shared_api.program("eve")
    assert eve.call("PUT", f"/api/v1/apps/{hook.app_id}/hook", {"branch": "main"})[0] == 404
    assert eve.call("DELETE", f"/api/v1/apps/{hook.app_id}/hook")[0] == 404
    assert hook.send(push()).status_code == 200


def test_a_body_beyond_the_limit_is_refused(hook: Hook) -> None:
    answer = hook.send({**push(), "padding": "x" * MAX_BODY})

    assert (answer.status_code, answer.json()["code"]) == (413, 413)
    assert hook.jobs() == []


def test_a_malformed_push_says_what_is_wrong(hook: Hook) -> None:
    answer = hook.send({"ref": "main"})

    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert "ref" in answer.json()["message"]


def test_a_disabled_owner_deploys_nothing(hook: Hook, shared_api: ApiProcess) -> None:
    execute = shared_api.deploy.schema.execute
    execute("UPDATE fun_ai_api_account SET enabled = 0 WHERE name = 'bob'")
    try:
        answer = hook.send(push())
    finally:
        execute("UPDATE fun_ai_api_account SET enabled = 1 WHERE name = 'bob'")

    assert answer.status_code == 403
    assert "disabled" in answer.json()["message"]
    assert hook.jobs() == []


def test_a_refusal_of_deploy_reaches_the_git_server(hook: Hook, shared_api: ApiProcess) -> None:
    shared_api.deploy.schema.execute(
        "UPDATE fun_ai_deploy_app SET paused_at = UTC_TIMESTAMP(6), pause_reason = 'three crashes'"
        f" WHERE app_id = '{hook.app_id}'"
    )

    answer = hook.send(push())

    assert (answer.status_code, answer.json()["code"]) == (409, 409)
    assert "paused" in answer.json()["message"]
    listed = shared_api.deploy.call("GET", f"/deploy/jobs/by-app?appId={hook.app_id}", None, API)
    assert len(listed[1]["data"]) == 1
