"""The steps' pure parts: the job's fields, the agent's refusals, the sum of the steps."""

from __future__ import annotations

from typing import Any

import pytest

from funai.runner.steps.agent import AgentAnswer
from funai.runner.steps.deploy import NEXT_STEP, explain, request_body, traces
from funai.runner.steps.job import DeployJob
from funai.runner.steps.progress import StepRecord
from funai.runner.steps.report import EXPECTED_PHASES, summarise, with_skipped
from funai.runner.steps.step import Deadline, StepError

NODE = {"name": "runtime-01", "agentBaseUrl": "http://n:7005/", "gatewayBaseUrl": "http://n/"}


def record(**payload: object) -> dict[str, Any]:
    fields: dict[str, object] = {"appId": "app-1", "userId": 7, "image": "r.test/t/app:1"}
    return {"jobId": "j-1", "fence": 3, "payload": fields | payload, "runtimeNode": NODE}


def test_job_takes_what_existing_clients_send() -> None:
    job = DeployJob.parse(record(appId=20002, containerPort="8080", basePath="/apps/20002/"))

    assert (job.app_id, job.user_id, job.container_port) == ("20002", "7", 8080)
    assert (job.base_path, job.deploy_url) == ("/apps/20002", "http://n/apps/20002/")
    assert job.agent_base_url == "http://n:7005"


def test_data_of_a_claim_is_a_job_file_too() -> None:
    claim = record()
    claim["id"] = claim.pop("jobId")

    assert DeployJob.parse(claim).job_id == "j-1"


def test_port_is_3000_where_none_is_given() -> None:
    assert DeployJob.parse(record()).container_port == 3000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("appId", "a/b", id="slash in app"),
        pytest.param("appId", "-a", id="option as app"),
        pytest.param("appId", "a" * 64, id="long app"),
        pytest.param("appId", True, id="boolean app"),
        pytest.param("appId", "app-1\nx", id="line break in app"),
        pytest.param("userId", None, id="no user"),
        pytest.param("image", "-v /:/host", id="option as image"),
        pytest.param("image", "r.test/Upper:1", id="upper case path"),
        pytest.param("image", "a:1\nb", id="line break"),
        pytest.param("image", "{{ x }}", id="template"),
        pytest.param("image", "a@sha256:12", id="short digest"),
        pytest.param("image", "a" * 513, id="long image"),
        pytest.param("image", 5, id="number as image"),
        pytest.param("containerPort", 0x10000, id="port too high"),
        pytest.param("containerPort", -1, id="port negative"),
        pytest.param("containerPort", 80.5, id="port with a fraction"),
        pytest.param("containerPort", "eighty", id="port in words"),
        pytest.param("basePath", "/apps/other", id="another app's path"),
        pytest.param("basePath", "/", id="root path"),
        pytest.param("basePath", "/apps/app-1/../x", id="path upwards"),
        pytest.param("basePath", "/apps/app-1//", id="two slashes"),
    ],
)
def test_field_that_breaks_its_rule_is_named(field: str, value: object) -> None:
    with pytest.raises(StepError) as caught:
        DeployJob.parse(record(**{field: value}))

    assert caught.value.reason == "JOB_INVALID"
    assert caught.value.sentence.startswith(f"The job cannot be done: {field} ")


@pytest.mark.parametrize(
    "image",
    [
        "demo",
        "demo:1",
        "198.18.138.103/funai/demo:1",
        "localhost:5000/a/b_c/d-e:Tag_1.x",
        "registry.cn-hangzhou.aliyuncs.com/ns/app@sha256:" + "0" * 64,
        "r.test:5000/a:1@sha256:" + "f" * 64,
    ],
)
def test_image_references_of_the_registries_in_use_are_taken(image: str) -> None:
    assert DeployJob.parse(record(image=image)).image == image


@pytest.mark.parametrize(
    "url",
    [
        "ftp://n",
        "http://",
        "http://user:pw@n",
        "http://n/?x=1",
        "http://n#x",
        "http://n:99999",
        "http://n/\n",
        "n:7005",
        None,
    ],
)
def test_agents_address_is_checked(url: object) -> None:
    job = record()
    job["runtimeNode"] = {**NODE, "agentBaseUrl": url}

    with pytest.raises(StepError, match="agentBaseUrl"):
        DeployJob.parse(job)


def test_deploy_url_on_another_host_is_refused() -> None:
    job = {**record(), "deployUrl": "http://169.254.169.254/apps/app-1/"}

    with pytest.raises(StepError, match="deployUrl"):
        DeployJob.parse(job)


@pytest.mark.parametrize("image", [None, ""])
def test_missing_image_says_what_to_send(image: object) -> None:
    with pytest.raises(StepError, match=r"payload\.image") as caught:
        DeployJob.parse(record(image=image))

    assert caught.value.reason == "IMAGE_MISSING"


BUILD = {"registry": "r.test"}


def test_source_gets_the_apps_own_image_name() -> None:
    job = DeployJob.parse({**record(image=None, repoUrl="https://git.test/a"), "build": BUILD})

    assert job.builds
    assert job.image_repository == "r.test/funai/u7-appapp-1"


def test_source_without_a_registry_says_what_to_send() -> None:
    with pytest.raises(StepError, match=r"payload\.image") as caught:
        DeployJob.parse(record(image=None, repoUrl="https://git.test/a"))

    assert caught.value.reason == "BUILD_NOT_CONFIGURED"


@pytest.mark.parametrize("revision", [0, -1, "7", True, 1.5])
def test_revision_is_a_number(revision: object) -> None:
    with pytest.raises(StepError, match="revision"):
        DeployJob.parse({**record(), "revision": revision})


def test_health_path_is_below_the_apps_own() -> None:
    assert DeployJob.parse(record()).health_url == "http://n/apps/app-1/"
    assert DeployJob.parse(record(healthPath="/h")).health_url == "http://n/apps/app-1/h"


@pytest.mark.parametrize(
    ("fields", "revision", "release"),
    [({}, None, None), ({}, 7, "r7"), ({"commit": "a" * 40}, 7, "r7-" + "a" * 12)],
)
def test_release_names_revision_and_commit(
    fields: dict[str, object], revision: int | None, release: str | None
) -> None:
    job = DeployJob.parse({**record(**fields), "revision": revision})

    assert request_body(job, 25.0).get("release") == release
    assert traces(job).get("release") == release


def test_digest_in_an_images_name_is_the_revisions() -> None:
    digest = "sha256:" + "0" * 64

    assert traces(DeployJob.parse(record(image=f"r.test/a@{digest}")))["imageDigest"] == digest


def test_agent_is_told_job_and_fence() -> None:
    body = request_body(DeployJob.parse(record()), 25.0)

    assert (body["jobId"], body["fence"], body["readySeconds"]) == ("j-1", 3, 25)


@pytest.mark.parametrize("reason", sorted(NEXT_STEP))
def test_every_reason_of_the_agent_ends_with_what_to_do(reason: str) -> None:
    answer = AgentAnswer(500, {"detail": "it broke.", "reason": reason})

    error = explain(DeployJob.parse(record()), answer)

    assert error.reason == reason
    assert "app-1 on node runtime-01: it broke. What ran before" in error.sentence
    assert error.sentence.endswith(NEXT_STEP[reason])


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "AGENT_DENIED"), (409, "BUSY"), (422, "AGENT_REFUSED"), (500, "AGENT_FAILED")],
)
def test_older_agent_without_reasons_is_understood(status: int, reason: str) -> None:
    error = explain(DeployJob.parse(record()), AgentAnswer(status, {"detail": "no"}))

    assert error.reason == reason


def test_status_that_http_does_not_know_is_explained_too() -> None:
    assert explain(DeployJob.parse(record()), AgentAnswer(599, {})).reason == "AGENT_FAILED"


def test_evidence_keeps_the_logs_end() -> None:
    evidence = {"log": [f"line {n}" for n in range(50)], "exitCode": 3}
    answer = AgentAnswer(500, {"reason": "CONTAINER_EXITED", "evidence": evidence})

    error = explain(DeployJob.parse(record()), answer)

    assert error.evidence.startswith("exitCode: 3\nlog: line 0")
    assert error.text.endswith("line 49")


DONE = [StepRecord(p, ended=True, seconds=0.1) for p in ("VALIDATE", "DEPLOY", "VERIFY")]


def test_three_good_steps_are_a_success() -> None:
    assert summarise("j", 1, with_skipped(DONE)).status == "SUCCEEDED"


def test_job_with_a_source_needs_its_three_steps_too() -> None:
    assert summarise("j", 1, DONE).reason == "STEP_MISSING"


def test_steps_that_were_not_needed_are_shown_as_skipped_in_their_place() -> None:
    phases = summarise("j", 1, with_skipped(DONE)).phases

    assert [p["phase"] for p in phases] == list(EXPECTED_PHASES)
    assert [p["phase"] for p in phases if p.get("skipped")] == ["CLONE", "BUILD", "PUSH"]


@pytest.mark.parametrize(
    ("steps", "status", "reason"),
    [
        pytest.param(DONE[:2], "FAILED", "STEP_MISSING", id="missing step"),
        pytest.param([], "FAILED", "STEP_MISSING", id="no step"),
        pytest.param([DONE[0], StepRecord("DEPLOY")], "FAILED", "STEP_DIED", id="died"),
        pytest.param(
            [DONE[0], StepRecord("DEPLOY", ended=True, reason="BUSY", message="m")],
            "FAILED",
            "BUSY",
            id="failed",
        ),
        pytest.param(
            [DONE[0], StepRecord("DEPLOY", ended=True, reason="LEASE_LOST", message="m")],
            "ABANDONED",
            "LEASE_LOST",
            id="lease lost",
        ),
    ],
)
def test_outcome_follows_the_first_step_that_failed(
    steps: list[StepRecord], status: str, reason: str
) -> None:
    outcome = summarise("j", 1, with_skipped(steps))

    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.error_message


def test_deadline_counts_on_its_clock() -> None:
    now = [10.0]
    deadline = Deadline(5, lambda: now[0])

    now[0] = 13.0

    assert deadline.remaining == 2
    assert deadline.allows(1)
    assert not deadline.allows(2)
