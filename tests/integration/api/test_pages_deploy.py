"""The Deploy form and the revisions: what they ask Deploy for, and how they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.console import IMAGE, Runner, deploy, followed, new_app, words

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess

GIT = {"kind": "git", "repoUrl": "https://git.test/team/shop.git", "commit": "main"}
SHA = "ab" * 32
ARCHIVE = {"kind": "archive", "archiveUrl": "https://files.test/shop.zip?key=1", "sha256": SHA}


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        ({"kind": "image", "image": IMAGE, "repoUrl": "ignored"}, {"image": IMAGE}),
        (
            {**GIT, "buildArgs": "A=1\n\n# none\nB=x=y", "dockerfilePath": "web/Dockerfile"},
            {
                "repoUrl": GIT["repoUrl"],
                "commit": "main",
                "buildArgs": {"A": "1", "B": "x=y"},
                "dockerfilePath": "web/Dockerfile",
            },
        ),
        (
            ARCHIVE,
            {"source": "archive", "archiveUrl": ARCHIVE["archiveUrl"], "sha256": ARCHIVE["sha256"]},
        ),
        (
            {"kind": "image", "image": IMAGE, "containerPort": "8080", "healthPath": "/up"},
            {"image": IMAGE, "containerPort": 8080, "healthPath": "/up"},
        ),
    ],
    ids=["image", "git", "archive", "port"],
)
def test_the_form_asks_for_what_was_filled_in(
    shared_api: ApiProcess, fields: dict[str, str], payload: dict[str, object]
) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    job_id = deploy(bob, app_id, **fields)
    assert runner.job(job_id)["payload"] == {**payload, "appId": app_id, "userId": 2}
    again = bob.get(f"/console/apps/{app_id}/deploy").text
    for name in ("image", "repoUrl", "archiveUrl"):
        if name in payload:
            assert f'value="{payload[name]}"' in again
    assert f'value="{fields["kind"]}" checked' in again
    runner.run(job_id)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "image"}, "must be filled in"),
        ({"kind": "image", "image": "no spaces here"}, "must be"),
        ({"kind": "git", "repoUrl": "https://u:p@git.test/x"}, "must hold no user name"),
        ({**GIT, "commit": "a..b"}, "must be a branch, a tag or a commit"),
        ({**GIT, "buildArgs": "nonsense"}, "line 1 must be NAME=value"),
        ({**GIT, "dockerfilePath": "../Dockerfile"}, "must be a path inside"),
        ({**ARCHIVE, "sha256": "12"}, "must be 64 hex digits"),
        ({**ARCHIVE, "sha256": ""}, "must be filled in"),
        ({**GIT, "containerPort": "70000"}, "must be a whole number from 1 to 65535"),
        ({**GIT, "healthPath": "up"}, "must be a path such as"),
    ],
)
def test_a_wrong_field_is_named_and_the_others_stay(
    shared_api: ApiProcess, fields: dict[str, str], says: str
) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    page = f"/console/apps/{app_id}/deploy"
    answer = bob.submit(page, page, **fields)
    assert answer.status_code == 400
    assert says in words(answer)
    assert answer.text.count('aria-invalid="true"') == 1
    assert "One field needs a correction" in words(answer)
    if "repoUrl" in fields and fields["kind"] == "git":
        assert f'value="{fields["repoUrl"]}"' in answer.text
    assert "No job yet" in words(bob.get(f"/console/apps/{app_id}/jobs"))


def test_a_second_deploy_is_refused_until_it_is_to_take_the_place(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    first = deploy(bob, app_id)
    page = f"/console/apps/{app_id}/deploy"
    refused = bob.submit(page, page, kind="image", image="registry.test/team/shop:2")
    assert refused.status_code == 409
    assert "take the place" in words(refused)
    assert 'value="registry.test/team/shop:2"' in refused.text
    second = deploy(bob, app_id, kind="image", image="registry.test/team/shop:2", supersede="on")
    assert runner.job(first)["status"] == "CANCELLED"
    assert "A newer job took its place" in words(bob.get(f"/console/jobs/{first}"))
    runner.run(second)


def test_a_form_sent_twice_makes_one_job(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    jobs = {deploy(bob, app_id, kind="image", image=IMAGE, key="one-form") for _ in range(2)}
    assert len(jobs) == 1
    runner.run(jobs.pop())


def test_a_rollback_is_one_click(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    for number in (1, 2):
        job = runner.take(deploy(bob, app_id))
        runner.end(job, result={"image": IMAGE, "imageDigest": f"sha256:{number:064x}"})
    page = f"/console/apps/{app_id}/revisions"
    listed = words(bob.get(page))
    assert "#2 Serves now" in listed
    assert "#1 Can be gone back to" in listed
    answer = bob.submit(page, f"/console/apps/{app_id}/rollback", revision="1")
    said = followed(bob, answer)
    assert "Going back to revision 1" in words(said)
    job_id = answer.headers["Location"].rpartition("/")[2]
    assert runner.job(job_id)["payload"]["rollbackReason"] == "by bob in the console"
    runner.run(job_id)
    assert "#1 Serves now" in words(bob.get(page))


def test_a_rollback_does_not_wait_for_a_job_that_has_not_ended(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    for _ in range(2):
        runner.run(deploy(bob, app_id))
    waiting = deploy(bob, app_id)
    page = f"/console/apps/{app_id}/revisions"
    assert "A job of the app has not ended; it makes room for a rollback." in words(bob.get(page))
    answer = bob.submit(page, f"/console/apps/{app_id}/rollback", revision="1", supersede="on")
    assert runner.job(waiting)["status"] == "CANCELLED"
    runner.run(answer.headers["Location"].rpartition("/")[2])


def test_a_refused_rollback_says_why(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    page = f"/console/apps/{app_id}/revisions"
    said = words(followed(bob, bob.submit(page, f"/console/apps/{app_id}/rollback", revision="7")))
    assert "7" in said
    assert "No revision yet" in said
