"""The API for programs: a token's apps and deploys, and nobody else's."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy_process import RUNNER

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess, Program

IMAGE = {"image": "registry.test/demo:1"}
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def bob(shared_api: ApiProcess) -> Program:
    return shared_api.program("bob")


@pytest.fixture(scope="module")
def eve(shared_api: ApiProcess) -> Program:
    return shared_api.program("eve")


@pytest.fixture
def app(bob: Program) -> str:
    """An app of bob."""
    app_id = f"app-{next(_NUMBERS)}"
    bob.data("POST", "/api/v1/apps", {"appId": app_id, "name": "Shop"})
    return f"/api/v1/apps/{app_id}"


def succeed(api: ApiProcess) -> dict[str, Any]:
    """Run the job that waits, with a line of log."""
    api.deploy.beat()
    job = api.deploy.claimed()
    lines = {
        "runnerId": job["runnerId"],
        "fence": job["fence"],
        "offset": 0,
        "lines": [{"t": 1_700_000_000_000, "p": "BUILD", "m": f"line {n}"} for n in range(3)],
    }
    assert (
        api.deploy.call("POST", f"/deploy/jobs/{job['id']}/logs", lines, RUNNER)[1]["code"] == 200
    )
    result = {"image": job["payload"]["image"], "digest": "sha256:" + "a" * 64}
    assert api.deploy.report(job, "SUCCEEDED", result=result)[1]["code"] == 200
    return job


def test_a_token_tells_whose_it_is(bob: Program) -> None:
    assert bob.data("GET", "/api/v1/me") == {"userId": 2, "name": "bob", "role": "user"}


def test_an_apps_life(shared_api: ApiProcess, bob: Program, app: str) -> None:
    app_id = app.rpartition("/")[2]
    made = bob.data("GET", app)
    assert (made["appId"], made["name"], made["userId"]) == (app_id, "Shop", 2)
    assert (made["state"], made["job"]) == ("NOT_RUNNING", None)

    job = bob.data("POST", f"{app}/deploys", IMAGE)
    assert bob.data("GET", app)["job"]["id"] == job["id"]
    succeed(shared_api)

    assert bob.data("GET", f"/api/v1/deploys/{job['id']}")["status"] == "SUCCEEDED"
    page = bob.data("GET", f"/api/v1/deploys/{job['id']}/log?offset=1&limit=1")
    assert [line["text"] for line in page["lines"]] == ["line 1"]
    assert page["next"] == 2
    assert bob.data("GET", f"/api/v1/deploys/{job['id']}/events")[0]["toStatus"] == "PENDING"
    shown = bob.data("GET", app)
    assert (shown["state"], shown["source"]) == ("RUNNING", IMAGE)
    assert shown["revision"]["jobId"] == job["id"]
    assert [found["id"] for found in bob.data("GET", f"{app}/deploys")] == [job["id"]]

    bob.data("POST", f"{app}/deploys", {"image": "registry.test/demo:2"})
    succeed(shared_api)
    revisions = bob.data("GET", f"{app}/revisions")
    assert [found["state"] for found in revisions] == ["ACTIVE", "SUPERSEDED"]
    back = bob.data("POST", f"{app}/rollback", {"reason": "it is slow"})
    assert back["payload"]["rollbackTo"] == revisions[1]["number"]

    cancelled = bob.data(
        "POST", f"/api/v1/deploys/{back['id']}/cancel", {"reason": "changed my mind"}
    )
    assert (cancelled["status"], cancelled["reason"]) == ("CANCELLED", "changed my mind")
    assert bob.data("DELETE", app) == {"appId": app_id}
    assert bob.call("GET", app)[0] == 404
    assert bob.data("POST", "/api/v1/apps", {"appId": app_id})["state"] == "NOT_RUNNING"


def test_settings_are_deploys(bob: Program, app: str) -> None:
    body = {
        "containerPort": 8080,
        "environment": [{"name": "TOKEN", "value": "hidden-value", "secret": True}],
    }
    changed = bob.data("PUT", f"{app}/settings", body)
    assert changed["containerPort"] == 8080

    read = bob.data("GET", f"{app}/settings")

    assert read == changed
    assert "hidden-value" not in json.dumps(read)
    status, refused = bob.call("PUT", f"{app}/settings", {"containerPort": 0})
    assert status == 400
    assert "containerPort" in refused["message"]
    job = bob.data("POST", f"{app}/deploys", IMAGE)
    assert job["payload"]["containerPort"] == 8080
    bob.data("POST", f"/api/v1/deploys/{job['id']}/cancel")


def test_apps_are_listed_by_page_and_search(bob: Program, eve: Program) -> None:
    names = [f"listed-{next(_NUMBERS):03}" for _ in range(3)]
    for name in names:
        bob.data("POST", "/api/v1/apps", {"appId": name})

    page = bob.data("GET", "/api/v1/apps?search=listed-&limit=2&offset=1")

    assert (page["total"], [app["appId"] for app in page["items"]]) == (3, names[1:])
    assert eve.data("GET", "/api/v1/apps?search=listed-") == {"total": 0, "items": []}


def test_nothing_of_an_app_is_for_another_user(bob: Program, eve: Program, app: str) -> None:
    job = bob.data("POST", f"{app}/deploys", IMAGE)
    deploy = f"/api/v1/deploys/{job['id']}"
    calls = [
        ("GET", app),
        ("DELETE", app),
        ("POST", f"{app}/stop"),
        ("POST", f"{app}/resume"),
        ("GET", f"{app}/deploys"),
        ("POST", f"{app}/deploys"),
        ("GET", f"{app}/revisions"),
        ("POST", f"{app}/rollback"),
        ("GET", f"{app}/settings"),
        ("PUT", f"{app}/settings"),
        ("GET", deploy),
        ("POST", f"{deploy}/cancel"),
        ("GET", f"{deploy}/log"),
        ("GET", f"{deploy}/events"),
    ]
    body = {**IMAGE, "containerPort": 1}

    answers = {call: eve.call(*call, body if call[0] != "GET" else None) for call in calls}

    assert {status for status, _ in answers.values()} == {404}, answers
    assert all("is not yours" in found["message"] for _, found in answers.values()), answers
    assert bob.data("GET", deploy)["status"] == "PENDING"
    assert eve.call("POST", "/api/v1/apps", {"appId": app.rpartition("/")[2]})[0] == 409
    bob.data("POST", f"{deploy}/cancel")


@pytest.mark.parametrize("job_id", ["..", "%2e%2e", "by-app", "x%2Fy", "a" * 300, "%00"])
def test_an_id_of_no_job_reaches_nothing_else(bob: Program, job_id: str) -> None:
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/log")):
        status, _ = bob.call(method, f"/api/v1/deploys/{job_id}{path}")
        assert status in {404, 405}


def test_an_app_that_never_ran_has_nothing_to_go_back_to(bob: Program, app: str) -> None:
    for call in ("rollback", "stop", "resume"):
        status, found = bob.call("POST", f"{app}/{call}", {})
        assert status in {404, 409}
        assert found["message"]
    assert bob.data("GET", f"{app}/revisions") == []


def test_it_describes_itself(shared_api: ApiProcess) -> None:
    document = requests.get(f"{shared_api.url}/api/v1/openapi.json", timeout=10).json()

    assert document["openapi"].startswith("3.")
    path = document["paths"]["/api/v1/apps/{appId}/deploys"]
    assert set(path) == {"get", "post"}
    assert path["post"]["parameters"][0]["name"] == "appId"
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert all(operation["summary"] for operation in operations)
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
