"""Two versions of the services side by side, as in a rolling upgrade and in one that goes back (F27)."""

from __future__ import annotations

import random
import subprocess
import tarfile
import time
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING

from tests.chaos import checker, final_state
from tests.chaos.cluster import MAX_ATTEMPTS, Cluster
from tests.chaos.history import History, read
from tests.chaos.load import Load, Watch, resume_all
from tests.chaos.parts import ROOT, copy_services, migrate_further
from tests.chaos.plan import make_plan
from tests.chaos.processes import eventually
from tests.chaos.series.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry
    from tests.chaos.processes import Service
    from tests.chaos.series.outcome import Options

_JOBS_PER_CHANGE = 12
_APPS = 24
_PAUSE_SECONDS = (0.5, 2.0)
_REST_SECONDS = 120.0
#: What the version before does not promise.
_NEW_PROMISES = frozenset({"I17"})
_MIGRATIONS = "services/funai/deploy/migrations/versions"


def upgrades(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Change versions of single services under load, to and fro; in the end all are of the newer one."""
    commit = version_before()
    older = _unpack(commit, folder)
    outcome = Outcome(
        "upgrades",
        "Two versions side by side: every promise of both is kept",
        f"Deploys, agents and runners of now and of {commit[:9]}, the last before the newest migration,"
        " which was applied while the older ones served; stopped in order and started as the other",
    )
    trial = _Trial(folder, older, options)
    trial.run(say)
    trial.tell(outcome)
    return outcome


def version_before() -> str:
    """Return the commit before the newest migration of Deploy's tables.

    :raises RuntimeError: where the history is not there
    """
    newest = _git("log", "-1", "--format=%H", "--", _MIGRATIONS).decode().strip()
    if not newest:
        msg = f"no commit of {_MIGRATIONS} is known here: run this in a clone with its history"
        raise RuntimeError(msg)
    return _git("rev-parse", f"{newest}^").decode().strip()


def _unpack(commit: str, folder: Path) -> Path:
    target = folder / "older"
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, "services"))) as archive:
        archive.extractall(target, filter="data")
    return target / "services"


def _git(*arguments: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - whichever git there is
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout


class _Trial:
    def __init__(self, folder: Path, older: Path, options: Options) -> None:
        self._options = options
        self._dice = random.Random(options.seed)  # noqa: S311 - a plan, no secret
        newer = copy_services(ROOT / "services", folder)
        self._paths = {"older": f"{older}:{ROOT}", "newer": f"{newer}:{ROOT}"}
        self._newer = newer
        self._history = History(folder / "history.jsonl")
        self._cluster = Cluster(folder, self._history, services=older, real_runners=0)
        self._changes: Counter[str] = Counter()
        self._jobs: Counter[str] = Counter()
        self._late: list[int] = []
        self._violations: list[str] = []

    def run(self, say: Callable[[str], None]) -> None:
        """Start with the older version, go to the newer one and back, and judge."""
        cluster, watch = self._cluster, None
        try:
            cluster.start()
            watch = Watch(cluster)
            self._under_load(watch, say)
            eventually(lambda: self._is_at_rest(watch), _REST_SECONDS, "all jobs ended")
            self._judge()
        finally:
            if watch is not None:
                watch.stop()
            cluster.stop()
            self._history.close()

    def _under_load(self, watch: Watch, say: Callable[[str], None]) -> None:
        options = self._options
        plan = make_plan(options.seed, options.rounds * _JOBS_PER_CHANGE, _APPS, [])
        load = Load(self._cluster, plan, watch, _APPS)
        load.start()
        eventually(lambda: load.acknowledged >= _JOBS_PER_CHANGE, 60, "the load began")
        migrate_further(self._cluster.schema, self._paths["newer"])
        for number in range(1, options.rounds + 1):
            self._change(self._dice.choice(self._services()))
            _work_on(self._cluster, self._dice.uniform(*_PAUSE_SECONDS))
            if number % 10 == 0:
                say(f"{number} changes, {load.acknowledged} jobs acknowledged")
        for service in self._services():
            if service.env["PYTHONPATH"] != self._paths["newer"]:
                self._change(service)
        eventually(load.is_done, 600, "the load was through")
        self._late = load.late

    def _services(self) -> list[Service]:
        cluster = self._cluster
        return [*cluster.deploys, *(node.agent for node in cluster.nodes), *cluster.runners]

    def _change(self, service: Service) -> None:
        """Stop the service as an upgrade does, and start the other version of it."""
        is_older = service.env["PYTHONPATH"] == self._paths["older"]
        with service.busy:
            service.stop()
            service.env["PYTHONPATH"] = self._paths["newer" if is_older else "older"]
            service.start()
        self._changes["to the newer" if is_older else "back to the older"] += 1

    def _is_at_rest(self, watch: Watch) -> bool:
        _work_on(self._cluster, 0.1)
        query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_app WHERE closing_node_id IS NOT NULL"
        return watch.active() == 0 and not self._cluster.schema.rows(query)[0]["n"]

    def _judge(self) -> None:
        final = final_state.collect(self._cluster, MAX_ATTEMPTS)
        self._jobs = Counter(str(job["status"]) for job in final.jobs)
        paths = [self._history.path, *(node.history_file for node in self._cluster.nodes)]
        history: list[Entry] = read(paths)
        found = checker.check(history, _as_the_older_tells(final))
        self._violations = [
            f"{each.invariant}: {each.text}"
            for each in found
            if each.invariant not in _NEW_PROMISES
        ]

    def tell(self, outcome: Outcome) -> None:
        """Write down what came of it."""
        jobs = ", ".join(f"{count} {status}" for status, count in sorted(self._jobs.items()))
        changes = ", ".join(f"{count} {way}" for way, count in sorted(self._changes.items()))
        tried = f"{changes}; {sum(self._jobs.values())} jobs ({jobs})"
        outcome.count("violations of what both versions promise", tried, len(self._violations))
        outcome.count("requests without an ended job after 180 s", tried, len(self._late))
        outcome.violations += self._violations


def _work_on(cluster: Cluster, seconds: float) -> None:
    """Let time pass; do meanwhile what systemd and people do."""
    resume_all(cluster)
    for service in cluster.services():
        if not service.is_alive:
            service.kill()
            service.start()
    time.sleep(seconds)


def _as_the_older_tells(final: FinalState) -> FinalState:
    """Let apps serve what was cut off without a word of it: the older version says none."""
    serving = {app: job for node in final.nodes.values() for app, (_, job) in node.pages.items()}
    for row in final.apps:
        row["unconfirmed_job_id"] = row["unconfirmed_job_id"] or serving.get(row["app_id"])
    return final
