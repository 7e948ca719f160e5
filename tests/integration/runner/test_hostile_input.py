"""What users control is data: it is not executed, and the tokens are not shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.runner.conftest import BUNDLE, RUNNER_TOKEN, RUNTIME_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.runner.conftest import Lab

PLAYBOOK = BUNDLE / "deploy_app.yml"
FIELDS = ("appId", "userId", "image", "basePath", "containerPort", "repoUrl", "commit", "extra")
CANARY = "fired"


def templates(canary: Path) -> Iterator[str]:
    command = f"touch {canary}"
    yield "{{ lookup('pipe', '" + command + "') }}"
    yield '{{ lookup("ansible.builtin.pipe", "' + command + '") }}'
    yield "{{ query('pipe', '" + command + "') | first }}"
    yield "{% set _ = lookup('pipe', '" + command + "') %}"
    yield "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ lookup('pipe', '" + command + "') }}"
    yield "$(" + command + ")"
    yield "`" + command + "`"
    yield "x; " + command
    yield "!unsafe {{ lookup('pipe', '" + command + "') }}"


def run_by_hand(job_file: Path, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    token = job_file.with_name("runtime.token")
    token.write_text(RUNTIME_TOKEN + "\n")
    return subprocess.run(
        [program, "-i", "localhost,", "-e", f"job_file={job_file}", *more, PLAYBOOK],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(job_file.parent),
            "LC_ALL": "C.UTF-8",
            "RUNNER_RUNTIME_TOKEN_FILE": str(token),
            **env,
        },
        cwd=job_file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def write_job(lab: Lab, folder: Path, job: dict[str, Any] | None = None, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    job_file = folder / "job.json"
    job_file.write_text(json.dumps({**(job or lab.job("job-1", fence=5)), **more}))
    return job_file


def test_templates_in_every_field_do_not_run(lab: Lab) -> None:
    canary = lab.tmp_path / CANARY
    lab.node.agent = lambda body: (422, {"detail": next(templates(canary)), **body})
    runner = lab.runner(RUNNER_PARALLEL_JOBS=2)
    jobs = 0

    for template in templates(canary):
        for field in FIELDS:
            payload: dict[str, Any] = {field: template}
            job = lab.job(f"job-{jobs}", **payload)
            job["runtimeNode"]["name"] = job["template"] = template
            lab.deploy.add(job)
            jobs += 1
    reports = [lab.report_of(f"job-{n}", 120) for n in range(jobs)]

    assert len(reports) == jobs == 72
    assert {report["status"] for report in reports} == {"FAILED"}
    assert not canary.exists(), runner.log.read_text()


def test_control_the_same_template_as_extra_variable_does_run(lab: Lab) -> None:
    canary = lab.tmp_path / CANARY
    template = next(templates(canary))
    job_file = write_job(lab, lab.tmp_path / "control")

    run_by_hand(job_file, "-e", json.dumps({"job_file": f"{job_file}{template}"}))

    assert canary.exists(), "the corpus is blunt: what must not fire did not fire where it must"


@pytest.mark.parametrize("job_id", ["{{ 1 }}", "../../etc", "a b", "", "x" * 65])
def test_job_id_that_is_no_file_name_is_not_run(lab: Lab, job_id: str) -> None:
    runner = lab.runner()

    lab.deploy.add(lab.job(job_id))
    lab.deploy.add(lab.job("job-after"))
    lab.report_of("job-after")

    assert len(runner.lines("refused")) == 1
    assert len(lab.node.deploys) == 1


def test_tokens_are_on_no_command_line_in_no_environment_and_no_log(lab: Lab) -> None:
    lab.node.agent = lab.node.hold
    runner = lab.runner()
    lab.deploy.add(lab.job("job-1"))
    assert lab.node.wait_for_deploys(1)

    shown = []
    for process in runner.family():
        shown += [*process.cmdline(), *process.environ().values()]
    lab.node.release.set()
    lab.report_of("job-1")
    runner.stop()
    files = [p.read_bytes() for p in lab.tmp_path.rglob("*") if p.is_file()]

    for token in (RUNNER_TOKEN, RUNTIME_TOKEN):
        assert not any(token in text for text in shown)
        assert not any(token.encode() in content for content in files)
        assert not any(token in json.dumps(report) for report in lab.deploy.reports)


def test_agent_that_echoes_the_token_does_not_get_it_into_the_log(lab: Lab) -> None:
    lab.node.agent = lambda _body: (400, {"detail": f"bad token {RUNTIME_TOKEN}"})
    runner = lab.runner()

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")
    runner.stop()

    assert RUNTIME_TOKEN not in report["errorMessage"]
    assert not any(
        RUNTIME_TOKEN.encode() in path.read_bytes()
        for path in lab.tmp_path.rglob("*")
        if path.is_file()
    )


def test_run_by_hand_gives_the_runners_outcome_with_the_same_fence(lab: Lab) -> None:
    lab.runner()
    lab.deploy.add(lab.job("job-1", fence=5))
    report = lab.report_of("job-1")

    job_file = write_job(lab, lab.tmp_path / "hand")
    done = run_by_hand(job_file)
    outcome = json.loads(job_file.with_suffix(".outcome.json").read_text())

    assert done.returncode == 0, done.stdout
    assert outcome["status"] == report["status"] == "SUCCEEDED"
    assert lab.node.deploys[0] == lab.node.deploys[1]
    assert outcome["result"]["containerName"] == report["result"]["containerName"]


def test_run_by_hand_reports_where_deploy_and_token_are_given(lab: Lab) -> None:
    token = lab.tmp_path / "runner.token"
    token.write_text(RUNNER_TOKEN)
    job_file = write_job(
        lab, lab.tmp_path / "hand", deployBaseUrl=lab.deploy_url, runnerId="runner-1"
    )

    done = run_by_hand(job_file, RUNNER_TOKEN_FILE=str(token))

    assert done.returncode == 0, done.stdout
    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert lab.report_of("job-1")["runnerId"] == "runner-1"
    assert {h.get("X-Runner-Token") for h in lab.deploy.headers} == {RUNNER_TOKEN}


def test_failed_run_by_hand_ends_with_an_error_status(lab: Lab) -> None:
    lab.node.agent = lambda _body: (404, {"detail": "no such image", "reason": "IMAGE_NOT_FOUND"})
    job_file = write_job(lab, lab.tmp_path / "hand")

    done = run_by_hand(job_file)

    assert done.returncode != 0
    assert "Push the image" in done.stdout + done.stderr
