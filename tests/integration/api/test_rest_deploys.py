"""The paths that clients of the platform's earlier API entry call."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.api.process import PUBLIC_URL
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess, Program

CREATE = "/api/fun-ai/deploy/job/create"
IMAGE = "registry.test/demo:1"
GIT = {"repoUrl": "https://git.test/team/app.git", "commit": "main"}
_NUMBERS = itertools.count(1)


@pytest.fixture
def app_id() -> str:
    return f"app-{next(_NUMBERS)}"


@pytest.fixture(scope="module")
def bob(shared_api: ApiProcess) -> Program:
    return shared_api.program("bob")


@pytest.fixture(scope="module")
def eve(shared_api: ApiProcess) -> Program:
    return shared_api.program("eve")


@pytest.fixture(scope="module")
def ada(shared_api: ApiProcess) -> Program:
    return shared_api.program("ada")


def create(program: Program, app_id: str, **body: Any) -> dict[str, Any]:
    job: dict[str, Any] = program.data("POST", f"{CREATE}?appId={app_id}", body or {"image": IMAGE})
    return job


def finish(api: ApiProcess, status: str = "SUCCEEDED") -> dict[str, Any]:
    """End the job that waits, as a runner."""
    api.deploy.beat()
    job = api.deploy.claimed()
    assert api.deploy.report(job, status)[0] == 200
    return job


@pytest.fixture(autouse=True)
def nothing_waits(shared_api: ApiProcess) -> None:
    """End what the test before left."""
    for job in shared_api.deploy.call("GET", "/deploy/jobs?status=PENDING,RUNNING", None, API)[1][
        "data"
    ]:
        shared_api.deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)


def test_a_job_becomes_that_of_its_user(bob: Program, app_id: str) -> None:
    body = {"image": IMAGE, "appId": "another", "userId": 3, "extra": {"kept": True}}
    job = bob.data("POST", f"{CREATE}?userId=2&appId={app_id}", body)

    assert job["status"] == "PENDING"
    assert job["payload"]["appId"] == app_id
    assert job["payload"]["userId"] == 2
    assert job["payload"]["extra"] == {"kept": True}
    shown = bob.data("GET", f"/api/fun-ai/deploy/job/info?jobId={job['id']}")
    assert (shown["id"], shown["appId"]) == (job["id"], app_id)


def test_a_user_names_nobody_else(bob: Program, app_id: str) -> None:
    status, body = bob.call("POST", f"{CREATE}?userId=3&appId={app_id}", {"image": IMAGE})
    assert status == 403
    assert "yours is 2" in body["message"]

    status, body = bob.call("POST", f"{CREATE}?appId={app_id}", {"image": IMAGE, "userId": 3})
    assert status == 403

    assert bob.call("GET", "/api/fun-ai/deploy/app/list?userId=3")[0] == 403


def test_another_users_app_and_job_sound_like_unknown_ones(
    bob: Program, eve: Program, app_id: str
) -> None:
    job = create(bob, app_id)

    status, body = eve.call("POST", f"{CREATE}?appId={app_id}", {"image": IMAGE})
    assert status == 404
    assert app_id in body["message"]
    said = [
        eve.call("GET", f"/api/fun-ai/deploy/job/info?jobId={job_id}")
        for job_id in (job["id"], "0" * 36)
    ]
    assert [status for status, _ in said] == [404, 404]
    assert said[0][1]["message"].replace(job["id"], "") == said[1][1]["message"].replace(
        "0" * 36, ""
    )
    assert job["id"] not in json.dumps(eve.data("GET", "/api/fun-ai/deploy/job/list?limit=200"))
    assert app_id not in json.dumps(eve.data("GET", "/api/fun-ai/deploy/app/list"))


def test_an_app_that_deploy_knows_of_somebody_else_is_not_taken_over(
    shared_api: ApiProcess, bob: Program, ada: Program, app_id: str
) -> None:
    shared_api.deploy.create(app_id, userId=4711)

    assert bob.call("POST", f"{CREATE}?appId={app_id}", {"image": IMAGE})[0] == 404
    assert bob.call("POST", "/api/v1/apps", {"appId": app_id})[0] == 409
    shared_api.deploy.call("POST", "/deploy/apps/purge", {"appId": app_id, "userId": 1}, API)
    assert ada.call("POST", f"{CREATE}?userId=4711&appId={app_id}", {"image": IMAGE})[0] == 200
    assert bob.call("POST", f"{CREATE}?appId={app_id}", {"image": IMAGE})[0] == 404


def test_an_app_of_before_becomes_its_users_own(
    shared_api: ApiProcess, bob: Program, eve: Program, ada: Program, app_id: str
) -> None:
    known, unnamed = f"{app_id}-known", f"{app_id}-unnamed"
    shared_api.deploy.create(known, userId=2)
    shared_api.deploy.create(unnamed, userId=None)
    finish(shared_api)
    finish(shared_api)

    assert eve.call("POST", f"{CREATE}?appId={known}", {"image": IMAGE})[0] == 404
    assert create(bob, known)["payload"]["userId"] == 2
    assert bob.call("POST", "/api/v1/apps", {"appId": unnamed})[0] == 409
    ada.data("POST", "/api/v1/apps", {"appId": unnamed, "userId": 2})
    assert bob.data("GET", f"/api/v1/apps/{unnamed}")["state"] == "RUNNING"


def test_an_operator_deploys_for_anybody_and_mistakes_nobody(
    ada: Program, bob: Program, app_id: str
) -> None:
    job = ada.data("POST", f"{CREATE}?userId=2&appId={app_id}", {"image": IMAGE})
    assert job["payload"]["userId"] == 2
    assert bob.data("GET", f"/api/fun-ai/deploy/job/info?jobId={job['id']}")["id"] == job["id"]

    status, body = ada.call("POST", f"{CREATE}?userId=3&appId={app_id}", {"image": IMAGE})
    assert status == 409
    assert "user 2" in body["message"]
    query = f"appId={app_id}&onConflict=supersede"
    assert ada.data("POST", f"{CREATE}?{query}", {"image": IMAGE})["payload"]["userId"] == 2


@pytest.mark.parametrize(
    ("query", "body", "says"),
    [
        pytest.param("", {"image": IMAGE}, "appId", id="no app"),
        pytest.param("appId=a%20b", {"image": IMAGE}, "appId", id="no id"),
        pytest.param("appId=x1&userId=me", {"image": IMAGE}, "userId", id="no user"),
        pytest.param("appId=x1", {}, "repoUrl", id="no source"),
        pytest.param("appId=x1", {"image": "-x"}, "image", id="image"),
        pytest.param("appId=x1", {"repoUrl": "file:///etc"}, "repoUrl", id="repository"),
        pytest.param("appId=x1", {**GIT, "gitRef": "other"}, "commit", id="two commits"),
    ],
)
def test_a_wrong_request_names_its_field_and_registers_nothing(
    bob: Program, query: str, body: dict[str, Any], says: str
) -> None:
    status, found = bob.call("POST", f"{CREATE}?{query}", body)

    assert status == 400
    assert says in found["message"]
    assert "x1" not in json.dumps(bob.data("GET", "/api/fun-ai/deploy/app/list"))


def test_what_the_platform_built_for_another_user_is_not_deployed(
    bob: Program, ada: Program, app_id: str
) -> None:
    image = "registry.test/funai/u3-appsecret:1"
    for body in ({"image": image}, {**GIT, "imageRepo": "funai/u3-appsecret"}):
        status, found = bob.call("POST", f"{CREATE}?appId={app_id}", body)
        assert status == 403
        assert "user 3" in found["message"]
    assert ada.call("POST", f"{CREATE}?appId={app_id}&userId=2", {"image": image})[0] == 200


def test_a_body_that_is_no_object_is_refused(shared_api: ApiProcess, app_id: str) -> None:
    browser = shared_api.browser("bob")
    for data in (b"[1]", b"{", b"\xff"):
        answer = browser.post(f"{CREATE}?appId={app_id}", data=data)
        assert answer.status_code == answer.json()["code"] == 400
        assert "body" in answer.json()["message"]


def test_the_next_deploy_needs_no_source(shared_api: ApiProcess, bob: Program, app_id: str) -> None:
    create(bob, app_id, **GIT, dockerfilePath="docker/Dockerfile")
    finish(shared_api)

    again = bob.data("POST", f"{CREATE}?appId={app_id}")
    assert again["payload"]["repoUrl"] == GIT["repoUrl"]
    assert again["payload"]["dockerfilePath"] == "docker/Dockerfile"
    finish(shared_api)

    other = create(bob, app_id, gitRef="release")
    assert other["payload"]["gitRef"] == "release"
    assert "commit" not in other["payload"]
    finish(shared_api)

    image = create(bob, app_id)
    assert "repoUrl" not in image["payload"]


def test_a_second_job_is_refused_or_supersedes_as_asked(bob: Program, app_id: str) -> None:
    first = create(bob, app_id)

    status, body = bob.call("POST", f"{CREATE}?appId={app_id}", {"image": IMAGE})
    assert status == 409
    assert first["id"] in body["message"]
    second = bob.data("POST", f"{CREATE}?appId={app_id}&onConflict=supersede", {"image": IMAGE})
    third = create(bob, app_id, image=IMAGE, onConflict="supersede")

    ended = bob.data("GET", f"/api/fun-ai/deploy/job/info?jobId={first['id']}")
    assert (ended["status"], ended["reasonCode"]) == ("CANCELLED", "SUPERSEDED")
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert "onConflict" not in third["payload"]
    status, body = bob.call("POST", f"{CREATE}?appId={app_id}&onConflict=maybe", {"image": IMAGE})
    assert status == 400
    assert "onConflict" in body["message"]


def test_an_idempotency_key_is_its_accounts_own(bob: Program, eve: Program, app_id: str) -> None:
    headers = {"Idempotency-Key": f"key-of-{app_id}"}
    path = f"{CREATE}?appId={app_id}"
    first = bob.data("POST", path, {"image": IMAGE}, headers=headers)

    again = bob.data("POST", path, {"image": IMAGE}, headers=headers)
    assert (again["id"], again["idempotencyKey"]) == (first["id"], headers["Idempotency-Key"])
    assert bob.call("POST", path, {"image": "registry.test/demo:2"}, headers=headers)[0] == 409
    other = eve.data("POST", f"{CREATE}?appId={app_id}-eve", {"image": IMAGE}, headers=headers)
    assert other["id"] != first["id"]
    long = {"Idempotency-Key": "k" * 128}
    made = bob.data("POST", f"{CREATE}?appId={app_id}-long", {"image": IMAGE}, headers=long)
    same = bob.data("POST", f"{CREATE}?appId={app_id}-long", {"image": IMAGE}, headers=long)
    assert made["id"] == same["id"]


def test_users_see_no_address_inside_and_operators_do(
    shared_api: ApiProcess, bob: Program, ada: Program, app_id: str
) -> None:
    job = create(bob, app_id)
    finish(shared_api)

    seen = {
        name: [
            program.data("GET", f"/api/fun-ai/deploy/job/info?jobId={job['id']}"),
            *program.data("GET", "/api/fun-ai/deploy/job/list"),
            *program.data("GET", "/api/fun-ai/deploy/app/list"),
        ]
        for name, program in (("bob", bob), ("ada", ada))
    }

    assert "127.0.0.1" not in json.dumps(seen["bob"])
    assert "agentBaseUrl" not in json.dumps(seen["bob"])
    assert seen["bob"][0]["runtimeNode"]["name"] == "node-1"
    assert seen["bob"][0]["deployUrl"] == f"{PUBLIC_URL}/apps/{app_id}/"
    assert seen["ada"][0]["runtimeNode"]["agentBaseUrl"] == "http://127.0.0.1:7005"


def test_lists_are_a_users_own_and_newest_first(
    shared_api: ApiProcess, bob: Program, eve: Program, ada: Program, app_id: str
) -> None:
    ids = [create(bob, f"{app_id}-{n}")["id"] for n in range(3)]
    theirs = create(eve, f"{app_id}-eve")["id"]

    listed = [job["id"] for job in bob.data("GET", "/api/fun-ai/deploy/job/list?limit=3")]
    assert listed == ids[::-1]
    everything = [job["id"] for job in ada.data("GET", "/api/fun-ai/deploy/job/list?limit=4")]
    assert everything == [theirs, *ids[::-1]]
    waiting = bob.data("GET", "/api/fun-ai/deploy/job/list?status=PENDING")
    assert {job["id"] for job in waiting} == set(ids)
    apps = {app["appId"]: app for app in bob.data("GET", "/api/fun-ai/deploy/app/list?userId=2")}
    assert apps[f"{app_id}-0"]["state"] == "DEPLOYING"
    assert apps[f"{app_id}-0"]["job"]["id"] == ids[0]
    assert {app["userId"] for app in apps.values()} == {2}
    of_eve = ada.data("GET", "/api/fun-ai/deploy/app/list?userId=3")
    assert {app["userId"] for app in of_eve} == {3}


@pytest.mark.parametrize("limit", ["0", "201", "x", "-1"])
def test_a_limit_has_limits(bob: Program, limit: str) -> None:
    status, body = bob.call("GET", f"/api/fun-ai/deploy/job/list?limit={limit}")
    assert status == 400
    assert "limit" in body["message"]


def test_nobody_gets_json_all_the_same(shared_api: ApiProcess) -> None:
    for method, path in (
        ("POST", CREATE),
        ("GET", "/api/fun-ai/deploy/job/list"),
        ("GET", "/api/"),
    ):
        answer = requests.request(method, shared_api.url + path, timeout=10, allow_redirects=False)
        assert answer.status_code in {401, 404}
        assert answer.json()["code"] == answer.status_code
        assert "Set-Cookie" not in answer.headers
    headers = {"Authorization": "Bearer funai_wrong"}
    answer = requests.get(f"{shared_api.url}/api/v1/me", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, 401)


def test_another_site_cannot_deploy_with_somebodys_cookie(
    shared_api: ApiProcess, app_id: str
) -> None:
    browser = shared_api.browser("bob")
    path = f"{CREATE}?appId={app_id}"
    refused = browser.post(path, json={"image": IMAGE}, headers={"Origin": "http://evil.example"})
    assert refused.status_code == refused.json()["code"] == 403
    assert browser.post(path, json={"image": IMAGE}).json()["code"] == 200
