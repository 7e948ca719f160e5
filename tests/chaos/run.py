"""One run: start, load, faults, rest, judgement."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests

from tests.chaos import checker, effect_checks, final_state
from tests.chaos.cluster import MAX_ATTEMPTS, Cluster
from tests.chaos.faults import KINDS, Conductor, doses
from tests.chaos.history import History, read
from tests.chaos.load import Load, Watch, resume_all
from tests.chaos.parts import ROOT, copy_services
from tests.chaos.plan import Dose, make_plan
from tests.chaos.processes import eventually
from tests.chaos.stale import StaleActors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry
    from tests.chaos.plan import Plan
    from tests.chaos.stale import StaleResult
    from tests.chaos.violation import Violation

_REST_SECONDS = 90.0
_ROUTES_SECONDS = 45.0
#: A violation is put down to the faults of so many seconds before it.
_BLAME_SECONDS = 15.0


@dataclass(frozen=True)
class Options:
    """What a run is asked for."""

    seed: int
    jobs: int
    apps: int
    clients: int
    stale: int
    services: Path = ROOT / "services"
    real_runners: int = 1
    #: Only these kinds of fault; empty for all.
    only: frozenset[str] = frozenset()
    #: So many times as many of each as usual.
    more_faults: float = 1.0
    limit_seconds: float = 1800.0


@dataclass
class Outcome:
    """What a run came to."""

    options: Options
    violations: list[Violation] = field(default_factory=list)
    #: Why the run cannot be judged: it did not come to rest, a fault was not undone.
    incomplete: list[str] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    blamed: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    stale: list[StaleResult] = field(default_factory=list)
    in_doubt: int = 0
    seconds: float = 0.0


def run(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Do all of it; whatever happens, nothing is left running."""
    outcome, began = Outcome(options), time.monotonic()
    history = History(folder / "history.jsonl")
    services = copy_services(options.services, folder)
    cluster = Cluster(folder, history, services=services, real_runners=options.real_runners)
    over, watch = threading.Event(), None
    try:
        cluster.start()
        say(f"cluster of {len(cluster.services()) + 1} processes in {folder}")
        watch = Watch(cluster)
        plan = make_plan(options.seed, options.jobs, options.apps, _doses(options))
        _under_faults(cluster, plan, watch, outcome, over, say)
        _rest(cluster, watch, outcome)
        if options.stale:
            _speak_for_the_stale(cluster, outcome)
        say("judges")
        _judge(cluster, outcome)
    finally:
        with _undisturbed():
            over.set()
            if watch is not None:
                watch.stop()
            cluster.stop()
            history.close()
    outcome.seconds = time.monotonic() - began
    return outcome


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C not keep processes alive that the first one is ending."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    usual = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, usual, strict=True):
            signal.signal(number, handler)


def _doses(options: Options) -> list[Dose]:
    return [
        Dose(dose.kind, dose.per_thousand * options.more_faults)
        for dose in doses()
        if not options.only or dose.kind in options.only
    ]


def _under_faults(
    cluster: Cluster,
    plan: Plan,
    watch: Watch,
    outcome: Outcome,
    over: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Run load and faults until both are through, or the time is up."""
    options = outcome.options
    load = Load(cluster, plan, watch, options.clients)
    conductor = Conductor(cluster, plan, over)
    deadline, said = time.monotonic() + options.limit_seconds, 0
    load.start()
    conductor.start()
    while not (load.is_done() and conductor.left == 0):
        conductor.progress = load.acknowledged
        if load.acknowledged >= said + max(100, options.jobs // 20):
            said = load.acknowledged
            say(
                f"{said} of {options.jobs} jobs acknowledged, {sum(conductor.counts.values())} faults"
            )
        if load.is_done():
            conductor.progress = options.jobs
        if time.monotonic() > deadline or conductor.broken:
            outcome.incomplete.append("the time was up before the plan was through")
            break
        _operate(cluster)
        over.wait(0.5)
    load.given_up.set()
    over.set()
    conductor.join()
    _withdraw_arms(cluster)
    outcome.injected, outcome.missed = dict(conductor.counts), dict(conductor.missed)
    outcome.incomplete += conductor.broken
    outcome.incomplete += [f"request {number} was not done in 180 s" for number in load.late]
    for kind in KINDS:
        if kind.word and kind.word != "poison":
            acknowledged = plan.requests[: load.acknowledged]
            hits = sum(request.word == kind.word for request in acknowledged)
            outcome.injected[kind.code] = hits


def _operate(cluster: Cluster) -> None:
    """Do what systemd and people do: a runner that a job killed comes back, a paused app goes on."""
    resume_all(cluster)
    for service in cluster.services():
        if service.busy.acquire(blocking=False):
            try:
                if not service.is_alive:
                    service.kill()
                    service.start()
            finally:
                service.busy.release()


def _withdraw_arms(cluster: Cluster) -> None:
    for arms in cluster.arms():
        arms.withdraw()


def _rest(cluster: Cluster, watch: Watch, outcome: Outcome) -> None:
    """Bring back what is dead (poison jobs kill runners), and wait until nothing moves."""

    def is_quiet() -> bool:
        _operate(cluster)
        return watch.active() == 0

    try:
        eventually(is_quiet, _REST_SECONDS, "all jobs ended")
        eventually(lambda: _serves(cluster), _ROUTES_SECONDS, "all routes serve")
        eventually(lambda: _are_told(cluster), _ROUTES_SECONDS, "nodes are told of all ends")
    except TimeoutError as exc:
        outcome.incomplete.append(str(exc))


def _serves(cluster: Cluster) -> bool:
    """Tell whether every app of every agent is served; drains and undos are over then, too."""
    pages = [node.page(app)[0] for node in cluster.nodes for app in node.routes()]
    open_operations = sum(node.open_operations() for node in cluster.nodes)
    # Where nothing has a route, nothing was proved.
    return bool(pages) and all(status == 200 for status in pages) and not open_operations


def _are_told(cluster: Cluster) -> bool:
    """Tell whether every node knows which jobs ended without success."""
    query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_app WHERE closing_node_id IS NOT NULL"
    return bool(cluster.schema.rows(query)[0]["n"] == 0)


def _speak_for_the_stale(cluster: Cluster, outcome: Outcome) -> None:
    try:
        outcome.stale = StaleActors(cluster, outcome.options.stale).run()
    except (AssertionError, TimeoutError, ValueError, requests.RequestException) as exc:
        outcome.incomplete.append(f"the stale actors could not speak: {exc!r}")


def _judge(cluster: Cluster, outcome: Outcome) -> None:
    final = final_state.collect(cluster, MAX_ATTEMPTS)
    paths = [cluster.history.path, *(node.history_file for node in cluster.nodes)]
    history = read(paths)
    # A poison job hits whatever runner takes it, and that one writes it down itself.
    outcome.injected["F25"] = sum(e["kind"] == "fault" and e["code"] == "F25" for e in history)
    outcome.violations = checker.check(history, final)
    outcome.blamed = _blame(history, outcome.violations)
    outcome.in_doubt = effect_checks.count_in_doubt(final)
    outcome.statuses = _count(final)


def _blame(history: list[Entry], violations: list[Violation]) -> dict[str, int]:
    """Count for each kind the violations that came within seconds of one of its injections."""
    faults = [entry for entry in history if entry["kind"] == "fault"]
    blamed: dict[str, int] = {}
    for violation in violations:
        near = {f["code"] for f in faults if 0 <= violation.t - f["t"] <= _BLAME_SECONDS}
        for code in near:
            blamed[code] = blamed.get(code, 0) + 1
    return blamed


def _count(final: FinalState) -> dict[str, int]:
    counts: dict[str, int] = {}
    for job in final.jobs:
        counts[job["status"]] = counts.get(job["status"], 0) + 1
    return counts
