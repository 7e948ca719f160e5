"""The way back to an earlier revision, over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.deploy.revision_calls import (
    APP,
    REPOSITORY,
    app,
    built,
    commit,
    deploy_built,
    digest,
    finish,
    revisions,
    roll_back,
    run_job,
    set_state,
    states,
)
from tests.integration.deploy_process import API, DeployProcess


def test_rollback_goes_to_what_ran_before(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1, containerPort=8080, healthPath="/one", own=["kept", 1])
    deploy_built(deploy, 2, containerPort=9090, healthPath="/two")

    status, answer = roll_back(deploy, reason="two is slow")
    created = answer["data"]
    job = finish(deploy, result={"image": created["payload"]["image"], "sourceKind": "image"})

    assert (status, created["status"], created["revision"]) == (200, "PENDING", 1)
    assert created["payload"] == {
        "appId": APP,
        "userId": 1,
        "containerPort": 8080,
        "healthPath": "/one",
        "own": ["kept", 1],
        "image": f"{REPOSITORY}@{digest(1)}",
        "commit": commit(1),
        "rollbackTo": 1,
        "rollbackReason": "two is slow",
    }
    assert (job["revision"], job["deploySeq"]) == (1, 3)
    assert states(deploy) == {1: "ACTIVE", 2: "SUPERSEDED"}
    found = revisions(deploy)[1]
    assert (found["commit"], found["digest"]) == (commit(1), digest(1))
    assert found["activatedByJobId"] == job["id"]
    assert "two is slow" in app(deploy)["reason"]
    assert app(deploy)["revision"]["release"] == f"r1-{commit(1)[:12]}"


def test_rollback_of_a_rollback_returns(deploy: DeployProcess) -> None:
    for number in (1, 2, 3):
        deploy_built(deploy, number)
    went = []
    for _ in range(2):
        went.append(roll_back(deploy)[1]["data"]["payload"]["rollbackTo"])
        finish(deploy)

    assert went == [2, 3]
    assert states(deploy) == {1: "SUPERSEDED", 2: "SUPERSEDED", 3: "ACTIVE"}


def test_rollback_to_a_named_revision_then_a_deploy(deploy: DeployProcess) -> None:
    for number in (1, 2, 3):
        deploy_built(deploy, number)

    assert roll_back(deploy, revision="1")[1]["data"]["payload"]["rollbackTo"] == 1
    finish(deploy)
    deploy_built(deploy, 5)

    assert states(deploy) == {1: "SUPERSEDED", 2: "SUPERSEDED", 3: "SUPERSEDED", 5: "ACTIVE"}
    assert roll_back(deploy)[1]["data"]["payload"]["rollbackTo"] == 1


def test_failed_rollback_leaves_every_state(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)
    deploy_built(deploy, 2)
    roll_back(deploy)
    job = finish(deploy, "FAILED", built(1))

    assert states(deploy) == {1: "SUPERSEDED", 2: "ACTIVE"}
    assert job["id"] in app(deploy)["reason"]


def test_prebuilt_image_is_rolled_back_to_by_its_digest(deploy: DeployProcess) -> None:
    image = "registry.test:5000/team/app:1"
    run_job(deploy, result={"image": image, "imageDigest": digest(7)}, image=image, repoUrl=None)
    run_job(deploy, result=None, image="registry.test/team/app:2", repoUrl=None)
    first = roll_back(deploy)[1]["data"]
    finish(deploy)
    second = roll_back(deploy)[1]["data"]

    assert first["payload"]["image"] == f"registry.test:5000/team/app@{digest(7)}"
    assert second["payload"]["image"] == "registry.test/team/app:2"


def test_unknown_app_and_revision_are_404(deploy: DeployProcess) -> None:
    unknown = roll_back(deploy)
    deploy_built(deploy, 1)
    missing = roll_back(deploy, revision=7)

    assert (unknown[0], missing[0]) == (404, 404)
    assert APP in unknown[1]["message"]
    assert "revision 7" in missing[1]["message"]
    assert deploy.call("GET", "/deploy/apps/other/revisions", None, API)[1]["data"] == []
    assert deploy.schema.rows("SELECT * FROM fun_ai_deploy_app WHERE app_id <> %s", APP) == []


def test_nothing_to_roll_back_to_is_409(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)

    status, answer = roll_back(deploy)

    assert (status, answer["code"]) == (409, 409)
    assert "no revision ran before it" in answer["message"]


@pytest.mark.parametrize(("state", "word"), [("FAILED", "never ran"), ("PRUNED", "older than 3")])
def test_revision_without_a_way_back_is_409(deploy: DeployProcess, state: str, word: str) -> None:
    deploy_built(deploy, 1)
    deploy_built(deploy, 2)
    set_state(deploy, 1, state)

    status, answer = roll_back(deploy, revision=1)

    assert status == 409
    assert word in answer["message"]
    assert roll_back(deploy)[0] == 409


def test_revision_whose_runner_named_no_image_is_409(deploy: DeployProcess) -> None:
    run_job(deploy, result=None)
    deploy_built(deploy, 2)

    status, answer = roll_back(deploy)

    assert status == 409
    assert "did not report an image" in answer["message"]


def test_active_job_is_in_the_way_unless_superseded(deploy: DeployProcess) -> None:
    for number in (1, 2):
        deploy_built(deploy, number)
    pending = deploy.create(APP)[1]["data"]

    refused = roll_back(deploy)
    taken = roll_back(deploy, onConflict="supersede")[1]["data"]

    assert refused[0] == 409
    assert pending["id"] in refused[1]["message"]
    assert taken["payload"]["rollbackTo"] == 1
    after = deploy.call("GET", f"/deploy/jobs/{pending['id']}", None, API)[1]["data"]
    assert (after["status"], after["reasonCode"]) == ("CANCELLED", "SUPERSEDED")


def test_rollback_of_a_running_job_goes_to_what_ran_before_it(deploy: DeployProcess) -> None:
    for number in (1, 2):
        deploy_built(deploy, number)
    deploy.create(APP)
    running = deploy.claimed()

    created = roll_back(deploy, supersede="yes")[1]["data"]

    assert created["payload"]["rollbackTo"] == 2
    # It had switched the app before it heard that it is to make room: that is what is true.
    assert deploy.report(running, "SUCCEEDED", result=built(3))[1]["code"] == 200
    finish(deploy)
    assert states(deploy) == {1: "SUPERSEDED", 2: "ACTIVE", 3: "SUPERSEDED"}


def test_same_key_makes_one_rollback(deploy: DeployProcess) -> None:
    for number in (1, 2):
        deploy_built(deploy, number)
    first = roll_back(deploy, key="once")[1]["data"]
    again = roll_back(deploy, key="once")[1]["data"]
    finish(deploy)
    later = roll_back(deploy, key="once")[1]["data"]
    other = roll_back(deploy, key="once", revision=2)

    assert first["id"] == again["id"] == later["id"]
    assert later["status"] == "SUCCEEDED"
    assert other[0] == 409
    assert states(deploy) == {1: "ACTIVE", 2: "SUPERSEDED"}


def test_of_racing_rollbacks_one_is_made(deploy: DeployProcess) -> None:
    for number in (1, 2):
        deploy_built(deploy, number)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: roll_back(deploy)[0], range(8)))

    assert sorted(codes) == [200, *[409] * 7]


def test_callers_cannot_pose_as_a_rollback(deploy: DeployProcess) -> None:
    deploy_built(deploy, 1)

    status, answer = deploy.create(APP, rollbackTo=1)

    assert status == 400
    assert "rollback" in answer["message"]


@pytest.mark.parametrize("body", [{"revision": 0}, {"revision": "x"}, {"onConflict": "maybe"}])
def test_nonsense_is_refused(deploy: DeployProcess, body: dict[str, Any]) -> None:
    deploy_built(deploy, 1)

    assert roll_back(deploy, **body)[0] == 400


def test_rollback_needs_proof(deploy: DeployProcess) -> None:
    assert deploy.call("POST", f"/deploy/apps/{APP}/rollback", {}, {})[0] == 401
    assert deploy.call("GET", f"/deploy/apps/{APP}/revisions", None, {})[0] == 401
