"""Deploy and its database are killed again and again while clients create jobs."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos import audit
from tests.chaos.processes import eventually
from tests.chaos.series.control_plane import Beats, ControlPlane, Ender
from tests.chaos.series.creates import Creates, Judgement, judge
from tests.chaos.series.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.chaos.series.outcome import Options
    from tests.integration.deploy.commit_proxy import CommitProxy

_ENDERS = 6
_ANSWERED_SECONDS = 30.0
#: A backlog may take its time on a busy machine; one of which nothing ends for so long never will.
_STALL_SECONDS = 60.0
#: The database is read-only once for so many kills.
_READ_ONLY_SHARE = 4


def deploy_kills(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Kill Deploy at 5 creates a second."""
    per_second = 5.0
    outcome = Outcome(
        "deploy-kills",
        "Deploy killed: no acknowledged job is lost",
        f"one Deploy (gunicorn, SIGKILL of all its processes at a random moment), real MariaDB,"
        f" {per_second:g} creates a second, runners that report success at once",
    )
    dice = random.Random(options.seed)  # noqa: S311 - a plan, no secret
    with _loaded(folder, 1, per_second) as trial:
        deploy, creates = trial.plane.deploys[0], trial.creates
        for number in range(1, options.rounds + 1):
            time.sleep(dice.uniform(0.2, 1.2))
            deploy.kill()
            deploy.start()
            _wait_for_answer(creates)
            if number % 20 == 0:
                say(f"{number} kills, {creates.acknowledged} jobs acknowledged")
    _tell(outcome, trial, f"{options.rounds} kills of Deploy")
    return outcome


def database_kills(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Kill MariaDB, and make it read-only, at 10 creates a second to two Deploys.

    Every second kill comes when a create is committed and its Deploy has not heard of it.
    """
    per_second = 10.0
    outcome = Outcome(
        "database-kills",
        "MariaDB killed or read-only: no acknowledged job is lost, each create has its one job",
        "MariaDB (SIGKILL, down for 0 to 2 s, every second time between a create's COMMIT and the"
        " answer to it; read-only for 3 to 6 s), two Deploys over it,"
        f" {per_second:g} creates a second, runners that report success at once",
    )
    dice = random.Random(options.seed)  # noqa: S311 - a plan, no secret
    read_only = max(1, options.rounds // _READ_ONLY_SHARE)
    plan = ["kill"] * options.rounds + ["read-only"] * read_only
    dice.shuffle(plan)
    with _loaded(folder, 2, per_second) as trial:
        database, creates, at_commit = trial.plane.database, trial.creates, itertools.cycle((0, 1))
        for what in plan:
            time.sleep(dice.uniform(0.5, 2.0))
            if what == "kill":
                if next(at_commit):
                    _lose_commit(trial.plane.way)
                database.kill()
                time.sleep(dice.uniform(0.0, 2.0))
                database.start()
            else:
                database.execute("SET GLOBAL read_only = 1")
                time.sleep(dice.uniform(3.0, 6.0))
                database.execute("SET GLOBAL read_only = 0")
            _wait_for_answer(creates)
            say(f"{what}: {creates.acknowledged} jobs acknowledged")
    tried = f"{options.rounds} kills, {read_only} times read-only"
    _tell(outcome, trial, tried)
    if trial.judged and not trial.judged.committed_unanswered:
        outcome.violations.append("no create was in doubt whose job was there: nothing was tried")
    return outcome


@dataclass
class _Trial:
    """A platform under creates; judged when the block is left."""

    plane: ControlPlane
    creates: Creates
    judged: Judgement | None = None


@contextlib.contextmanager
def _loaded(folder: Path, deploys: int, per_second: float) -> Iterator[_Trial]:
    """Yield a platform under creates; leave when every acknowledged job has had time to end."""
    plane = ControlPlane(folder, deploys, DEPLOY_MAX_ATTEMPTS="50", DEPLOY_NODE_STALE_SECONDS="600")
    with plane, contextlib.ExitStack() as stack:
        for url in plane.urls:
            stack.enter_context(Beats(url))
        for number in range(_ENDERS):
            url = plane.urls[number % deploys]
            stack.enter_context(Ender(url, f"ender-{number}"))
        trial = _Trial(plane, Creates(plane.urls, per_second))
        with trial.creates:
            yield trial
        trial.creates.repeat_ambiguous()
        _rest(plane)
        jobs = plane.schema.rows("SELECT id, app_id FROM fun_ai_deploy_job")
        trial.judged = judge(trial.creates.all, jobs, audit.rows(plane.schema))


def _lose_commit(way: CommitProxy) -> None:
    """Return when the database has committed a create, and its Deploy does not know."""
    way.has_cut.clear()
    way.armed.set()
    eventually(way.has_cut.is_set, _ANSWERED_SECONDS, "a create was committed")


def _wait_for_answer(creates: Creates) -> None:
    """Wait for an acknowledgement, so that each kill meets a platform at work."""
    before = creates.acknowledged
    eventually(
        lambda: creates.acknowledged > before, _ANSWERED_SECONDS, "a create was acknowledged"
    )


def _rest(plane: ControlPlane) -> None:
    """Wait until all jobs have ended, or none ends any more."""
    left, since = _active(plane), time.monotonic()
    while left and time.monotonic() < since + _STALL_SECONDS:
        time.sleep(0.5)
        now = _active(plane)
        if now < left:
            left, since = now, time.monotonic()


def _active(plane: ControlPlane) -> int:
    query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_job WHERE status IN ('PENDING', 'RUNNING')"
    return int(plane.schema.rows(query)[0]["n"])


def _tell(outcome: Outcome, trial: _Trial, tried: str) -> None:
    judged = trial.judged
    assert judged is not None, "the trial was not judged"
    jobs = f"{tried}, {judged.acknowledged} acknowledged jobs"
    outcome.count("acknowledged jobs that are lost", jobs, len(judged.lost))
    outcome.count(
        "acknowledged jobs that did not end exactly once", jobs, len(judged.not_ended_once)
    )
    doubt = (
        f"{judged.ambiguous} ambiguous creates,"
        f" {judged.committed_unanswered} of them committed before they were answered"
    )
    outcome.count("creates not answered with their one job", doubt, len(judged.not_one))
    outcome.violations += judged.violations
