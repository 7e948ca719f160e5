"""``library/deploy_job_info.py`` against a Deploy with one job."""

from __future__ import annotations

import json
from typing import Any

import deploy_job_info
import pytest
from ansible.module_utils.deploy_client import DeployError
from ansible.module_utils.testing import patch_module_args

JOB = {"id": "j1", "status": "SUCCEEDED", "payload": {"appId": "a1"}}
EVENTS = [{"seq": 1, "toStatus": "PENDING"}]


class FakeDeploy:
    """One job of one app."""

    def get_job(self, job_id: str) -> dict[str, Any] | None:
        return JOB if job_id == "j1" else None

    def get_job_events(self, job_id: str) -> list[dict[str, Any]]:
        return EVENTS

    def list_app_jobs(self, app_id: str) -> list[dict[str, Any]]:
        return [JOB] if app_id == "a1" else []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"job_id": "j1"}, {"jobs": [JOB], "events": EVENTS}, id="job"),
        pytest.param({"job_id": "j9"}, {"jobs": [], "events": []}, id="unknown job"),
        pytest.param({"app_id": "a1"}, {"jobs": [JOB]}, id="app"),
        pytest.param({"app_id": "a9"}, {"jobs": []}, id="unknown app"),
    ],
)
def test_reads_what_was_asked_for(given: dict[str, Any], expected: dict[str, Any]) -> None:
    result = deploy_job_info.read(FakeDeploy(), {"job_id": None, "app_id": None, **given})

    assert result == {"changed": False, **expected}


def test_failure_names_the_job_and_hides_the_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, job_id: str) -> None:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("deploy_job_info.DeployClient.get_job", refuse)
    args = {"job_id": "j1", "deploy_url": "http://192.0.2.10:7002", "deploy_secret": "s3cr3t"}

    with patch_module_args(args), pytest.raises(SystemExit):
        deploy_job_info.main()

    printed = capsys.readouterr().out
    assert "Could not read job 'j1'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
