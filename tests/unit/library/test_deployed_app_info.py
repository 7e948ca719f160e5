"""``library/deployed_app_info.py`` against a Deploy of one app."""

from __future__ import annotations

import json

import deployed_app_info
import pytest
from ansible.module_utils.deploy_client import DeployError
from ansible.module_utils.testing import patch_module_args

from tests.unit.library.fake_jobs import FakeDeploy, job, revision


def test_reads_what_runs_and_the_revisions() -> None:
    deploy = FakeDeploy(job(), revisions=[revision(2, "ACTIVE"), revision(1)])

    result = deployed_app_info.read(deploy, "a1")

    assert result["app"] == {"lastJobStatus": "SUCCEEDED"}
    assert [row["number"] for row in result["revisions"]] == [2, 1]
    assert (result["changed"], deploy.writes) == (False, [])


def test_unknown_app_is_nothing_and_no_failure() -> None:
    result = deployed_app_info.read(FakeDeploy(), "a9")

    assert result == {"changed": False, "app": None, "revisions": []}


def test_failure_names_the_app_and_hides_the_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, app_id: str) -> None:
        raise DeployError("GET http://192.0.2.10:7002 answered 401: s3cr3t")

    monkeypatch.setattr("deployed_app_info.DeployClient.app", refuse)
    args = {"app_id": "a1", "deploy_url": "http://192.0.2.10:7002", "deploy_secret": "s3cr3t"}

    with patch_module_args(args), pytest.raises(SystemExit):
        deployed_app_info.main()

    printed = capsys.readouterr().out
    assert "Could not read app 'a1'" in json.loads(printed)["msg"]
    assert "s3cr3t" not in printed
