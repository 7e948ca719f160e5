"""The kinds of faults: which guarantee each one tries, how often it comes, and its injection."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.fault_actions import Actions, MissedError
from tests.chaos.plan import Dose

if TYPE_CHECKING:
    from tests.chaos.cluster import Cluster
    from tests.chaos.plan import Injection, Plan

_LANES = 4


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    code: str
    text: str
    #: The invariants that it tries hardest.
    tries: str
    #: Method of ``Actions``; empty for one that an image brings along.
    action: str = ""
    per_thousand: float = 0.0
    #: The image's word, for one that comes with a request.
    word: str = ""


KINDS = (
    Kind("F1", "runner SIGKILL", "I1 I2 I7", "kill_runner", 8),
    Kind("F2", "runner SIGSTOP past its lease, then SIGCONT", "I2 I4 I5", "suspend_runner", 6),
    Kind("F3", "a job's process SIGKILL (out of memory)", "I1 I7", "kill_job", 8),
    Kind("F4", "Deploy SIGKILL", "I1 I8", "kill_deploy", 6),
    Kind("F5", "Deploy's worker SIGKILL in mid-request", "I1 I8", "kill_deploy_worker", 8),
    Kind("F6", "runtime-agent SIGKILL", "I5 I10 I11", "kill_agent", 8),
    Kind("F7", "HAProxy SIGKILL", "I10 I12", "kill_haproxy", 6),
    Kind("F8a", "HAProxy's socket missing", "I10 I11", "lose_socket", 4),
    Kind("F8b", "HAProxy's socket denied", "I10 I11", "deny_socket", 4),
    Kind("F9", "engine SIGKILL with all containers", "I10 I11", "kill_engine", 6),
    Kind("F10", "database SIGKILL", "I1 I2 I8", "kill_database", 4),
    Kind("F11", "database read-only", "I1 I2", "make_read_only", 4),
    Kind("F12", "an app's row locked for 6 s", "I1 I3", "lock_app", 3),
    Kind("F13a", "deadlock 1213 forced", "I3 I4", "deadlock", 12),
    Kind("F13b", "lock wait timeout 1205 forced", "I3 I4", "lock_timeout", 12),
    Kind("F13c", "record changed 1020 forced", "I3 I4", "stale_snapshot", 12),
    Kind("F14a", "answer lost after COMMIT", "I2 I8", "lose_commit_answer", 16),
    Kind("F14b", "answer to a create lost", "I8", "lose_create_answer", 12),
    Kind("F14c", "answer to a claim lost", "I1 I7", "lose_claim_answer", 8),
    Kind("F14d", "answer to a report lost", "I2", "lose_report_answer", 12),
    Kind("F14e", "answer of an agent lost", "I5 I11", "lose_agent_answer", 12),
    Kind("F15a", "create sent twice", "I8", "duplicate_create", 12),
    Kind("F15b", "claim sent twice", "I3 I7", "duplicate_claim", 6),
    Kind("F15c", "report sent twice", "I2", "duplicate_report", 12),
    Kind("F15d", "deploy sent twice to an agent", "I5", "duplicate_deploy", 12),
    Kind("F16a", "requests of runners late by 0 to 5 s", "I2 I4", "delay_requests", 6),
    Kind("F16b", "report repeated seconds later", "I2", "replay_report", 10),
    Kind("F16c", "deploy repeated after newer ones", "I5 I6", "replay_deploy", 10),
    Kind("F17a", "half-open connection of a runner", "I1 I4", "half_open_runner", 6),
    Kind("F17b", "half-open connection to an agent", "I5", "half_open_agent", 6),
    Kind("F17c", "half-open connection to the database", "I1 I3", "silent_database", 4),
    Kind("F17d", "slow database", "I3", "slow_database", 4),
    Kind("F18a", "runners cut off from Deploy", "I2 I4", "part_runners_from_deploy", 4),
    Kind("F18b", "runners cut off from a node", "I5 I11", "part_runners_from_node", 5),
    Kind("F18c", "node cut off from Deploy", "I9", "part_node_from_deploy", 4),
    Kind("F18d", "a Deploy cut off from the database", "I1 I8", "cut_database", 5),
    Kind("F19", "20 % loss and 300 ms of jitter, runners to Deploy", "I1 I2", "lossy_network", 4),
    Kind("F20a", "agent's clock 1 h off", "I5 I6", "shift_clock_of_agent", 2),
    Kind("F20b", "Deploy's clock 1 h off", "I2 I4 I7", "shift_clock_of_deploy", 2),
    Kind("F20c", "runner's clock 1 h off", "I2 I4", "shift_clock_of_runner", 2),
    Kind("F23a", "agent's state file cut in half", "I5 I10", "truncate_state", 2),
    Kind("F23b", "bits of the agent's state file flipped", "I5 I10", "flip_bits_of_state", 2),
    Kind("F23c", "agent's state file gone", "I5 I10", "lose_state", 2),
    Kind("F26", "Deploy out of file descriptors", "I1 I8", "starve_of_descriptors", 4),
    Kind("F21", "node's disk full at the create", "I11", word="full"),
    Kind("F22a", "registry answers 500", "I11", word="r500"),
    Kind("F22b", "registry answers 429", "I11", word="r429"),
    Kind("F22c", "registry hangs", "I11", word="rhang"),
    Kind("F22d", "registry has no such image", "I11", word="rgone"),
    Kind("F22e", "registry denies", "I11", word="rdeny"),
    Kind("F22f", "pull breaks off", "I11", word="rcut"),
    Kind("F22g", "pull brings a wrong digest", "I11", word="rwrong"),
    Kind("F24a", "container exits at its start", "I10 I11", word="exit"),
    Kind("F24b", "container never answers", "I10 I11", word="mute"),
    Kind("F24c", "container answers 500", "I10 I11", word="http500"),
    Kind("F24d", "container dies 1 s after it was healthy", "I10", word="dies"),
    Kind("F24e", "container answers late", "I12", word="slow"),
    Kind("F22h", "slow pull", "I12", word="pullslow"),
    Kind("F25", "job that kills its runner", "I1 I7", word="poison"),
)
BY_CODE = {kind.code: kind for kind in KINDS}


def doses() -> list[Dose]:
    """Return what the plan draws from."""
    return [Dose(kind.code, kind.per_thousand) for kind in KINDS if kind.action]


class Conductor:
    """Injects a plan's faults as the load comes to them, a few at a time."""

    def __init__(self, cluster: Cluster, plan: Plan, over: threading.Event) -> None:
        self._cluster = cluster
        self._left = list(plan.injections)
        self._over = over
        self._lock = threading.Lock()
        self.progress = 0
        self.counts: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        #: A fault that could not be undone: the run is worth nothing.
        self.broken: list[str] = []
        self._lanes = [
            threading.Thread(target=self._lane, name=f"faults-{n}", daemon=True)
            for n in range(_LANES)
        ]

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def join(self) -> None:
        """Wait until every fault was undone."""
        for lane in self._lanes:
            lane.join()

    @property
    def left(self) -> int:
        with self._lock:
            return len(self._left)

    def hit(self, code: str) -> None:
        with self._lock:
            self.counts[code] += 1
        self._cluster.history.add("fault", code=code)

    def _next(self) -> Injection | None:
        with self._lock:
            if self._left and self._left[0].after <= self.progress:
                return self._left.pop(0)
            return None

    def _lane(self) -> None:
        while not self._over.is_set():
            injection = self._next()
            if injection is None:
                self._over.wait(0.1)
                continue
            self._inject(injection)

    def _inject(self, injection: Injection) -> None:
        kind = BY_CODE[injection.kind]
        hits = (self._cluster, injection.dice, lambda: self.hit(kind.code), self._over)
        try:
            getattr(Actions(*hits), kind.action)()
        except MissedError:
            with self._lock:
                self.missed[kind.code] += 1
        except Exception as exc:  # noqa: BLE001 - the run must say that it is broken, and end
            self.broken.append(f"{kind.code} {kind.text}: {exc!r}")
            self._over.set()
