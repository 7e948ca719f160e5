"""``library/deployed_app.py`` against a Deploy of one app."""

from __future__ import annotations

import json
from typing import Any

import deployed_app
import pytest
from ansible.module_utils.deploy_client import DeployError
from ansible.module_utils.testing import patch_module_args

from tests.unit.library.fake_jobs import FakeDeploy, job

IMAGE = "registry.example/a:1"
NEXT_IMAGE = "registry.example/a:2"


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
    ],
)
def test_no_change(deploy: FakeDeploy, given: dict[str, Any]) -> None:
    result = deployed_app.converge(deploy, options(**given), check_mode=False)

    assert not result["changed"]
    assert deploy.writes == []


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
