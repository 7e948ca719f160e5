"""What must hold of Deploy's rows, and of any two looks at them one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.contract.status import STOPPED
from funai.deploy import schema
from funai.deploy.jobs.model import PAST_SWITCH
from tests.model.lifecycle import ENDED, PENDING, RUNNING, App, Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.model.services import Rows

_JOB, _APP, _APP_RUN = schema.job.name, schema.app.name, schema.app_run.name


def check_app(rows: Rows, name: str, due: App, ids: Sequence[str], max_attempts: int) -> None:
    """Check one app's rows, by themselves and against what the rules made of it.

    :param ids: of its jobs, by number
    """
    jobs = [row for row in rows[_JOB] if row["app_id"] == name]
    statuses = [row["status"] for row in jobs]
    assert statuses.count(RUNNING) <= 1, f"app {name} has two RUNNING jobs"
    assert statuses.count(PENDING) <= 1, f"app {name} has two PENDING jobs"
    assert all(row["attempt"] <= max_attempts for row in jobs), "a job had too many attempts"
    assert [row["deploy_seq"] for row in jobs] == list(range(1, len(jobs) + 1))
    assert [row["id"] for row in jobs] == list(ids)
    found = App(tuple(_job(row, ids) for row in jobs), *_app_row(rows, name))
    # What ended a job is not in its row.
    wanted = due._replace(jobs=tuple(job._replace(ended_by=None) for job in due.jobs))
    assert found == wanted, f"app {name} is\n{found}\nand should be\n{wanted}"


def check_change(before: Rows, after: Rows) -> None:
    """Check what may never change, and what changes one way only."""
    _check_ended(before, after)
    _check_fences(before, after)
    _check_last_known(after)


def _app_row(rows: Rows, name: str) -> tuple[int, int, bool, int]:
    row = next((row for row in rows[_APP] if row["app_id"] == name), None)
    if row is None:
        return 0, 0, False, 0
    is_paused = row["paused_at"] is not None
    return row["fence"], row["crashes"] or 0, is_paused, row["closing_fence"] or 0


def _job(row: dict[str, Any], ids: Sequence[str]) -> Job:
    return Job(
        status=row["status"],
        runner=row["runner_id"],
        fence=row["fence"] or 0,
        attempt=row["attempt"],
        is_held=bool(row["is_held"]),
        has_switched=row["phase"] in PAST_SWITCH,
        rival=None if row["superseded_by"] is None else ids.index(row["superseded_by"]),
    )


def _check_ended(before: Rows, after: Rows) -> None:
    now = {row["id"]: row for row in after[_JOB]}
    for row in before[_JOB]:
        assert row["id"] in now, "a job went away"
        if row["status"] in ENDED:
            assert now[row["id"]] == row, "a job that ended changed"


def _check_fences(before: Rows, after: Rows) -> None:
    """Each claim's fence is above all that its app had before."""
    highest = {row["app_id"]: row["fence"] for row in before[_APP]}
    attempts = {row["id"]: row["attempt"] for row in before[_JOB]}
    for row in after[_JOB]:
        if row["attempt"] > attempts.get(row["id"], 0):
            assert row["fence"] > highest.get(row["app_id"], 0), "a fence was handed out again"
    for row in after[_APP]:
        assert row["fence"] >= highest.get(row["app_id"], 0), "a fence went back"


def _check_last_known(rows: Rows) -> None:
    """What is last known of an app is true of the job that it names."""
    jobs = {row["id"]: row["status"] for row in rows[_JOB]}
    for row in rows[_APP_RUN]:
        known = (STOPPED, jobs[row["last_job_id"]])
        assert row["last_job_status"] in known, "what is last known of an app is not true"
