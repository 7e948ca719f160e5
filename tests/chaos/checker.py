"""From a history and the final state to the list of violations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos import closing_checks, effect_checks, job_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry
    from tests.chaos.violation import Violation

    Check = Callable[[list[Entry], FinalState], Iterator[Violation]]

#: Invariant -> what it promises, and the function that looks.
CHECKS: dict[str, tuple[str, Check]] = {
    "I1": ("every acknowledged job ends exactly once", job_checks.one_end),
    "I2": ("no end changes; an acknowledged report stands", job_checks.ends_stay),
    "I3": ("at most one RUNNING job per app", job_checks.one_running),
    "I4": ("fences of an app only rise", job_checks.fences_rise),
    "I5": ("effects on a node come in fence order", effect_checks.effects_in_fence_order),
    "I6": ("the newest success is what runs", effect_checks.newest_success_runs),
    "I7": ("no more attempts than allowed", job_checks.bounded_attempts),
    "I8": ("one job per idempotency key", job_checks.one_job_per_key),
    "I9": ("at most one node routes an app", effect_checks.one_node),
    "I10": ("routes lead to healthy containers of their app", effect_checks.routes_lead_to_healthy),
    "I11": ("a failed deploy changes no route", effect_checks.failures_change_nothing),
    "I12": ("SUCCEEDED only after an answer by the gateway", effect_checks.success_was_seen),
    "I13": ("no secret is written down", job_checks.no_secrets),
    "I14": ("last known is the newest ended job", job_checks.last_known_is_newest),
    "I15": ("no container goes while a route leads to it", effect_checks.served_containers_stay),
    "I16": ("leases by the database's clock alone", job_checks.leases_by_the_databases_clock),
    "I17": ("ended jobs do nothing more; what serves is said", closing_checks.ends_are_final),
}


def check(history: list[Entry], final: FinalState) -> list[Violation]:
    """Return every violation, in the invariants' order."""
    ordered = _with_begins(history)
    return [found for _, look in CHECKS.values() for found in look(ordered, final)]


def _with_begins(history: list[Entry]) -> list[Entry]:
    """Note on each call to an agent which fences were done when it began.

    A call that began before a newer one was done may be answered after it: that is no fault.
    """
    calls = [e for e in history if effect_checks.is_deploy_call(e)]
    moments = [(call["began"], 0, call) for call in calls]
    moments += [(call["t"], 1, call) for call in calls if call["status"] == 200]
    done: dict[str, int] = {}
    noted: dict[int, dict[str, int]] = {}
    for _, is_end, call in sorted(moments, key=lambda moment: moment[:2]):
        if is_end and isinstance(call["body"], dict):
            app = call["body"]["appId"]
            done[app] = max(done.get(app, 0), call["body"]["fence"])
        elif not is_end:
            noted[id(call)] = dict(done)
    return [
        {**entry, "done_at_begin": noted[id(entry)]} if id(entry) in noted else entry
        for entry in history
    ]
