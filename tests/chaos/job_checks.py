"""Invariants of jobs: what Deploy and its database promise. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.chaos import images
from tests.chaos.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


def one_end(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I1: every acknowledged job reaches exactly one terminal state."""
    status = {job["id"]: job["status"] for job in final.jobs}
    endings: dict[str, list[str]] = defaultdict(list)
    for change in final.audit:
        if change["new_status"] in ENDED and change["old_status"] != change["new_status"]:
            endings[change["job_id"]].append(change["new_status"])
    for job in {e["job"] for e in history if e["kind"] == "create" and e["code"] == 200}:
        if status.get(job) not in ENDED:
            yield Violation("I1", f"acknowledged job {job} is {status.get(job, 'gone')}")
        elif len(endings[job]) != 1:
            yield Violation("I1", f"job {job} ended {len(endings[job])} times: {endings[job]}")


def ends_stay(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I2: no terminal state changes, and what was acknowledged to a runner is what is there."""
    for change in final.audit:
        if change["old_status"] in ENDED:
            text = (
                f"job {change['job_id']} went from {change['old_status']} to {change['new_status']}"
            )
            yield Violation("I2", text, change["t"])
    jobs = {job["id"]: job for job in final.jobs}
    for call in history:
        if call["kind"] != "call" or not call["request"].endswith("/report") or call["code"] != 200:
            continue
        job_id, body = call["request"].split("/")[-2], call["body"]
        job = jobs.get(job_id, {})
        if (job.get("status"), job.get("fence")) != (body["status"], body["fence"]):
            text = (
                f"report {body['status']} with fence {body['fence']} on job {job_id} was acknowledged;"
                f" the job is {job.get('status')} with fence {job.get('fence')}"
            )
            yield Violation("I2", text, call["t"])


def one_running(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I3: at most one RUNNING job of an app at every instant of the database."""
    running: dict[str, set[str]] = defaultdict(set)
    for change in final.audit:
        of_app = running[change["app_id"]]
        if change["new_status"] != "RUNNING":
            of_app.discard(change["job_id"])
            continue
        of_app.add(change["job_id"])
        if len(of_app) > 1:
            text = f"app {change['app_id']} had {len(of_app)} RUNNING jobs: {sorted(of_app)}"
            yield Violation("I3", text, change["t"])


def fences_rise(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I4: each claim of an app has a higher fence than all before."""
    highest: dict[str, int] = {}
    for change in final.audit:
        if change["new_status"] != "RUNNING":
            continue
        app, fence = change["app_id"], change["fence"]
        if fence is None or fence <= highest.get(app, 0):
            text = f"app {app} was claimed with fence {fence} after {highest.get(app, 0)}"
            yield Violation("I4", text, change["t"])
        highest[app] = max(highest.get(app, 0), fence or 0)


def bounded_attempts(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I7: no job is tried more often than allowed."""
    for change in final.audit:
        if (change["attempt"] or 0) > final.max_attempts:
            text = f"job {change['job_id']} had attempt {change['attempt']} of {final.max_attempts}"
            yield Violation("I7", text, change["t"])


def leases_by_the_databases_clock(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I16: a lease ends so many seconds after the claim by the database's clock, no other."""
    for change in final.audit:
        if change["new_status"] != "RUNNING" or not change["lease"]:
            continue
        seconds = change["lease"] / 1000 - change["at"]
        if not -1.0 <= seconds - final.lease_seconds <= 1.0 and not _is_probe(change):
            text = f"job {change['job_id']} got a lease of {seconds:.1f} s by the database's clock"
            yield Violation("I16", text, change["t"])


def _is_probe(change: dict[str, Any]) -> bool:
    """Tell whether a stale actor made the claim, which asks for another length."""
    return str(change["runner_id"]).startswith("stale-")


def one_job_per_key(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I8: the same idempotency key means the same job, however often and whatever was lost."""
    made: dict[int, set[str]] = defaultdict(set)
    for change in final.audit:
        if change["old_status"] is None:
            made[images.number_of(change["image"])].add(change["job_id"])
    for number, jobs in made.items():
        if len(jobs) > 1:
            yield Violation("I8", f"request {number} made {len(jobs)} jobs: {sorted(jobs)}")
    told: dict[int, str] = {}
    for entry in history:
        if entry["kind"] == "create" and entry["code"] == 200:
            known = told.setdefault(entry["number"], entry["job"])
            if known != entry["job"]:
                text = f"request {entry['number']} was told {known}, then {entry['job']}"
                yield Violation("I8", text, entry["t"])


def last_known_is_newest(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I14: the row of what is last known of an app is that of its newest ended job."""
    newest: dict[str, dict[str, Any]] = {}
    for job in final.jobs:
        if (
            job["status"] in ENDED
            and job["deploy_seq"] >= newest.get(job["app_id"], job)["deploy_seq"]
        ):
            newest[job["app_id"]] = job
    for run in final.app_runs:
        job = newest.get(run["app_id"], {})
        if (job.get("id"), job.get("status")) != (run["last_job_id"], run["last_job_status"]):
            text = (
                f"app {run['app_id']}: last known is {run['last_job_id']} {run['last_job_status']},"
                f" its newest job is {job.get('id')} {job.get('status')}"
            )
            yield Violation("I14", text)


def no_secrets(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I13: no secret of the platform in anything that was written down."""
    for leak in final.leaks:
        yield Violation("I13", leak)
