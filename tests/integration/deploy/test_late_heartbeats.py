"""A heartbeat that was held up on its way does not undo what the runner said after it."""

from __future__ import annotations

from typing import Any

from tests.integration.deploy_process import API, RUNNER, DeployProcess


def heartbeat(deploy: DeployProcess, held: dict[str, Any], phase: str, text: str) -> dict[str, Any]:
    body = {
        "runnerId": held["runnerId"],
        "fence": held["fence"],
        "phase": phase,
        "phaseMessage": text,
    }
    return deploy.call("POST", f"/deploy/jobs/{held['id']}/heartbeat", body, RUNNER)[1]


def test_job_past_its_switch_is_not_superseded_for_a_late_heartbeat(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    held = deploy.claimed()
    heartbeat(deploy, held, "DEPLOY", "switches")

    late = heartbeat(deploy, held, "BUILD", "builds")
    body = {
        "type": "BUILD_AND_DEPLOY",
        "payload": {"appId": "20002", "image": "a/b:1"},
        "onConflict": "supersede",
    }
    deploy.call("POST", "/deploy/jobs", body, API)
    again = heartbeat(deploy, held, "BUILD", "builds")
    reported = deploy.report(held, "SUCCEEDED")[1]

    assert (late["code"], late["data"]["phase"]) == (200, "DEPLOY")
    assert late["data"]["phaseMessage"] == "switches"
    assert again["code"] == 200, again["message"]
    assert (reported["code"], reported["data"]["status"]) == (200, "SUCCEEDED")
    rows = deploy.schema.rows("SELECT phase FROM fun_ai_deploy_job_event WHERE phase IS NOT NULL")
    assert {row["phase"] for row in rows} == {"DEPLOY"}


def test_next_attempt_begins_before_the_switch(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    heartbeat(deploy, deploy.claimed(), "DEPLOY", "switches")
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = 1")

    again = heartbeat(deploy, deploy.claimed(), "BUILD", "builds")

    assert (again["data"]["attempt"], again["data"]["phase"]) == (2, "BUILD")
