"""``library/deployed_app.py`` against a Deploy of one app."""

from __future__ import annotations

import json
from typing import Any

import deployed_app
import pytest
from ansible.module_utils.deploy_client import DeployError
from ansible.module_utils.testing import patch_module_args

from tests.unit.library.fake_jobs import FakeDeploy, job, revision

IMAGE = "registry.example/a:1"
NEXT_IMAGE = "registry.example/a:2"
SHA = "0123456789abcdef0123456789abcdef01234567"
REPO = "https://git.example/team/app.git"
SOURCE: dict[str, Any] = {"image": None, "repo_url": REPO, "commit": "main"}
BUILT = {"image": "registry.example/b:0123", "repoUrl": REPO, "commit": SHA, "commitRef": "main"}


def kept(*states: str, **newest: Any) -> FakeDeploy:
    """Return a Deploy with revisions in these states, newest first; all the same but for the newest."""
    numbers = range(len(states), 0, -1)
    rows = [revision(number, state) for number, state in zip(numbers, states, strict=True)]
    rows[0].update(newest)
    return FakeDeploy(job(), revisions=rows)


def built(**given: Any) -> FakeDeploy:
    """Return a Deploy of an app that a job built, which is known."""
    build: dict[str, Any] = {
        "dockerfilePath": "Dockerfile",
        "buildArgs": {"MODE": "live", "DEBUG": True},
    }
    made_by = job(image=None, repoUrl=REPO, commit="main", **build)
    config = {"containerPort": 8080, "healthPath": "/healthz"}
    made = revision(1, "ACTIVE", **BUILT, jobId=made_by["id"], config=config)
    return FakeDeploy(made_by, revisions=[{**made, **given}])


def options(**given: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in deployed_app.ARGUMENT_SPEC.items()}
    return {**defaults, "app_id": "a1", "image": IMAGE, "container_port": 8080, **given}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("deploy", "given", "writes"),
    [
        pytest.param(FakeDeploy, {}, ["create"], id="first deploy"),
        pytest.param(lambda: FakeDeploy(job("FAILED")), {}, ["create"], id="none succeeded"),
        pytest.param(lambda: FakeDeploy(job()), {"image": NEXT_IMAGE}, ["create"], id="image"),
        pytest.param(lambda: FakeDeploy(job()), {"container_port": 81}, ["create"], id="port"),
        pytest.param(lambda: FakeDeploy(job(), stopped=True), {}, ["create"], id="start again"),
        pytest.param(lambda: FakeDeploy(job()), {"state": "stopped"}, ["stop"], id="stop"),
        pytest.param(lambda: FakeDeploy(job()), {"state": "absent"}, ["clean up"], id="remove"),
        pytest.param(
            lambda: FakeDeploy(job("RUNNING", image=NEXT_IMAGE), {**job(), "id": "j9"}),
            {},
            ["create"],
            id="supersede a job that would undo it",
        ),
        pytest.param(FakeDeploy, SOURCE, ["create"], id="first build"),
        pytest.param(
            lambda: kept("ACTIVE", **BUILT), {**SOURCE, "commit": "v2"}, ["create"], id="commit"
        ),
        pytest.param(
            lambda: kept("ACTIVE", **BUILT),
            {**SOURCE, "repo_url": "https://git.example/team/other.git"},
            ["create"],
            id="repository",
        ),
        pytest.param(
            lambda: kept("ACTIVE", **BUILT), {"image": NEXT_IMAGE}, ["create"], id="image for build"
        ),
        pytest.param(
            built, {**SOURCE, "dockerfile_path": "other/Dockerfile"}, ["create"], id="Dockerfile"
        ),
        pytest.param(built, {**SOURCE, "build_context": "web"}, ["create"], id="context"),
        pytest.param(built, {**SOURCE, "build_args": {"MODE": "test"}}, ["create"], id="arguments"),
        pytest.param(built, {**SOURCE, "health_path": "/up"}, ["create"], id="health path"),
        pytest.param(
            lambda: built(stoppedAt="2026-01-01T00:00:00Z"), SOURCE, ["create"], id="start a build"
        ),
    ],
)
def test_change(deploy: Any, given: dict[str, Any], writes: list[str], *, check_mode: bool) -> None:
    fake = deploy()

    first = deployed_app.converge(fake, options(**given), check_mode=check_mode)

    assert first["changed"]
    assert fake.writes == ([] if check_mode else writes)
    assert first["app"]["state"] == given.get("state", "present")
    if not check_mode:
        fake.writes.clear()
        second = deployed_app.converge(fake, options(**given), check_mode=False)
        assert not second["changed"], "the second run must change nothing"
        assert fake.writes == []


@pytest.mark.parametrize(
    ("deploy", "given"),
    [
        pytest.param(FakeDeploy(job()), {}, id="present"),
        pytest.param(FakeDeploy(job(containerPort="8080")), {}, id="port as a string"),
        pytest.param(FakeDeploy(job(containerPort=81)), {"container_port": None}, id="unset port"),
        pytest.param(FakeDeploy(job("FAILED", image=NEXT_IMAGE), job()), {}, id="failed attempt"),
        pytest.param(FakeDeploy(job(), stopped=True), {"state": "stopped"}, id="stopped"),
        pytest.param(FakeDeploy(), {"state": "stopped"}, id="nothing to stop"),
        pytest.param(FakeDeploy(), {"state": "absent"}, id="absent"),
        pytest.param(kept("ACTIVE", **BUILT), SOURCE, id="branch by name"),
        pytest.param(kept("ACTIVE", **BUILT), {**SOURCE, "commit": SHA}, id="SHA"),
        pytest.param(built(), SOURCE, id="build options left out"),
        pytest.param(
            built(),
            {
                **SOURCE,
                "dockerfile_path": "./Dockerfile",
                "build_context": ".",
                "build_args": {"MODE": "live", "DEBUG": "true"},
                "health_path": "/healthz",
            },
            id="build options",
        ),
        pytest.param(
            built(jobId="long gone"), {**SOURCE, "build_context": "web"}, id="build nobody knows"
        ),
        pytest.param(
            kept("ACTIVE", **BUILT),
            {**SOURCE, "repo_url": "https://GIT.example/team/app.git/"},
            id="address written otherwise",
        ),
        pytest.param(
            kept("SUPERSEDED", "ACTIVE", image=NEXT_IMAGE), {}, id="revision after a rollback"
        ),
        pytest.param(kept("ACTIVE"), {"state": "rolled_back", "revision": 1}, id="there already"),
    ],
)
def test_no_change(deploy: FakeDeploy, given: dict[str, Any]) -> None:
    result = deployed_app.converge(deploy, options(**given), check_mode=False)

    assert not result["changed"]
    assert deploy.writes == []


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("deploy", "number"),
    [
        pytest.param(lambda: kept("ACTIVE", "SUPERSEDED", image=NEXT_IMAGE), 1, id="back"),
        pytest.param(lambda: kept("SUPERSEDED", "ACTIVE", image=NEXT_IMAGE), 2, id="forth"),
    ],
)
def test_rollback(deploy: Any, number: int, *, check_mode: bool) -> None:
    fake = deploy()
    wish = options(state="rolled_back", revision=number, image=None)

    first = deployed_app.converge(fake, wish, check_mode=check_mode)

    assert first["changed"]
    assert (first["app"]["state"], first["app"]["revision"]) == ("present", number)
    assert fake.writes == ([] if check_mode else [f"roll back to {number}"])
    if not check_mode:
        assert not deployed_app.converge(fake, wish, check_mode=False)["changed"]


def test_rollback_of_a_stopped_app_starts_it() -> None:
    fake = kept("ACTIVE")
    fake.stopped = True

    result = deployed_app.converge(fake, options(state="rolled_back", revision=1), check_mode=False)

    assert result["changed"]
    assert fake.writes == ["roll back to 1"]


def test_redeploy_deploys_what_runs_again_in_every_run() -> None:
    fake = kept("ACTIVE")
    wish = options(state="rolled_back", revision=1, redeploy=True)

    assert deployed_app.converge(fake, wish, check_mode=True)["changed"]
    assert fake.writes == []
    assert deployed_app.converge(fake, wish, check_mode=False)["changed"]
    assert fake.writes == ["roll back to 1"]


def test_rollback_under_way_is_waited_for() -> None:
    fake = kept("ACTIVE", "SUPERSEDED", image=NEXT_IMAGE)
    fake.jobs.insert(0, {**job("RUNNING", rollbackTo=1), "id": "j9"})

    result = deployed_app.converge(fake, options(state="rolled_back", revision=1), check_mode=False)

    assert fake.writes == []
    assert result["job"]["id"] == "j9"


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param(7, "no revision 7; the ones that can run: 3, 1", id="unknown"),
        pytest.param(2, "revision 2 is PRUNED; the ones that can run: 3, 1", id="pruned"),
    ],
)
def test_revision_that_cannot_run_is_refused(number: int, reason: str, *, check_mode: bool) -> None:
    fake = kept("ACTIVE", "PRUNED", "SUPERSEDED")

    with pytest.raises(DeployError, match=reason):
        deployed_app.converge(
            fake, options(state="rolled_back", revision=number), check_mode=check_mode
        )

    assert fake.writes == []


def test_payload_of_a_build_names_what_is_asked_for() -> None:
    fake = FakeDeploy()
    asked = options(
        **SOURCE,
        dockerfile_path="docker/Dockerfile",
        build_context="web",
        build_args={"MODE": "production"},
        health_path="/healthz",
        rebuild=True,
        payload={"image": IMAGE},
    )

    deployed_app.converge(fake, asked, check_mode=False)

    assert fake.jobs[0]["payload"] == {
        "appId": "a1",
        "userId": 1,
        "containerPort": 8080,
        "repoUrl": REPO,
        "commit": "main",
        "dockerfilePath": "docker/Dockerfile",
        "buildContext": "web",
        "buildArgs": {"MODE": "production"},
        "healthPath": "/healthz",
        "rebuild": True,
    }


def test_rebuild_builds_in_every_run() -> None:
    fake = kept("ACTIVE", **BUILT)

    result = deployed_app.converge(fake, options(**SOURCE, rebuild=True), check_mode=False)

    assert result["changed"]
    assert fake.writes == ["create"]


def test_job_under_way_to_the_same_image_is_waited_for() -> None:
    deploy = FakeDeploy(job("RUNNING"))

    result = deployed_app.converge(deploy, options(), check_mode=False)

    assert deploy.writes == []
    assert result["job"]["status"] == "SUCCEEDED"


def test_failed_job_fails_with_its_reason() -> None:
    deploy = FakeDeploy()
    deploy.outcome = "FAILED"

    with pytest.raises(DeployError, match="never ready"):
        deployed_app.converge(deploy, options(), check_mode=False)


def test_removal_that_the_node_did_not_do_is_a_failure() -> None:
    deploy = FakeDeploy(job())
    deploy.removal = {"runtime": {"success": False, "error": "connection refused"}}

    with pytest.raises(DeployError, match="its node still has it: connection refused"):
        deployed_app.converge(deploy, options(state="absent"), check_mode=False)


def test_failed_job_shows_the_end_of_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeDeploy()
    fake.outcome = "FAILED"
    for name in ("list_app_jobs", "revisions", "app", "create_job", "wait_for_job"):
        monkeypatch.setattr(f"deployed_app.DeployClient.{name}", staticmethod(getattr(fake, name)))
    lines = [{"phase": "BUILD", "text": "make: no rule"}]
    monkeypatch.setattr("deployed_app.DeployClient.job_log", lambda *_: lines)
    args = {"app_id": "a1", "image": IMAGE, "deploy_url": "http://d", "deploy_secret": "s3cr3t"}

    with patch_module_args(args), pytest.raises(SystemExit):
        deployed_app.main()

    printed = json.loads(capsys.readouterr().out)
    assert printed["log"] == ["BUILD make: no rule"]
    assert printed["job"]["status"] == "FAILED"


def test_failure_names_the_app_and_hides_the_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, app_id: str) -> None:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("deployed_app.DeployClient.list_app_jobs", refuse)
    args = {
        "app_id": "a1",
        "state": "absent",
        "deploy_url": "http://192.0.2.10:7002",
        "deploy_secret": "s3cr3t",
    }

    with patch_module_args(args), pytest.raises(SystemExit):
        deployed_app.main()

    printed = capsys.readouterr().out
    assert "Could not make app 'a1' absent" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
