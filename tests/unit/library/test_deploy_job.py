"""``library/deploy_job.py`` against a Deploy of one app."""

from __future__ import annotations

import json
from typing import Any

import deploy_job
import pytest
from ansible.module_utils.deploy_client import DeployError
from ansible.module_utils.testing import patch_module_args

from tests.unit.library.fake_jobs import FakeDeploy, job

IMAGE = "registry.example/a:1"


def options(**given: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in deploy_job.ARGUMENT_SPEC.items()}
    return {**defaults, "app_id": "a1", "image": IMAGE, **given}


@pytest.mark.parametrize("check_mode", [False, True])
def test_key_creates_its_job_once(*, check_mode: bool) -> None:
    deploy = FakeDeploy()

    first = deploy_job.converge(deploy, options(key="r1"), check_mode=check_mode)

    assert first["changed"]
    assert first["diff"]["after"]["payload"] == {"appId": "a1", "image": IMAGE}
    assert bool(deploy.writes) is not check_mode
    assert (first["job"] is None) is check_mode
    if not check_mode:
        second = deploy_job.converge(deploy, options(key="r1"), check_mode=False)
        assert not second["changed"], "the second run must change nothing"
        assert second["job"]["id"] == first["job"]["id"]


def test_without_a_key_each_run_creates_a_job() -> None:
    deploy = FakeDeploy()

    results = [deploy_job.converge(deploy, options(), check_mode=False) for _ in range(2)]

    assert [result["changed"] for result in results] == [True, True]
    assert len(deploy.jobs) == 2


def test_job_of_another_key_is_not_taken_for_this_one() -> None:
    deploy = FakeDeploy({**job(), "idempotencyKey": "r0"})

    assert deploy_job.converge(deploy, options(key="r1"), check_mode=False)["changed"]


def test_options_win_over_the_payload_and_unset_ones_are_left_to_deploy() -> None:
    given = options(payload={"containerPort": 1, "basePath": "/apps/a1"}, container_port=8080)

    assert deploy_job.desired_job(given)["payload"] == {
        "appId": "a1",
        "image": IMAGE,
        "containerPort": 8080,
        "basePath": "/apps/a1",
    }


def test_supersede_is_only_sent_where_asked_for() -> None:
    assert "supersede" not in deploy_job.desired_job(options())
    assert deploy_job.desired_job(options(supersede=True))["supersede"] is True


def test_waiting_returns_the_ended_job() -> None:
    result = deploy_job.converge(FakeDeploy(), options(wait=True), check_mode=False)

    assert result["job"]["status"] == "SUCCEEDED"


def test_waiting_for_a_job_that_fails_is_a_failure_with_its_reason() -> None:
    deploy = FakeDeploy()
    deploy.outcome = "FAILED"

    with pytest.raises(DeployError, match=r"job j1 ended FAILED \(never ready\)"):
        deploy_job.converge(deploy, options(wait=True), check_mode=False)


def test_failure_names_the_app_and_hides_the_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, app_id: str) -> None:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("deploy_job.DeployClient.list_app_jobs", refuse)
    args = {
        "app_id": "a1",
        "image": IMAGE,
        "deploy_url": "http://192.0.2.10:7002",
        "deploy_secret": "s3cr3t",
    }

    with patch_module_args(args), pytest.raises(SystemExit):
        deploy_job.main()

    printed = capsys.readouterr().out
    assert f"Could not deploy '{IMAGE}' to 'a1'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
