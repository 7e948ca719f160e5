"""Each invariant is caught where it is broken, and only that one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import images
from tests.chaos.checker import CHECKS, check
from tests.chaos.final_state import NodeState
from tests.unit.chaos import broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.final_state import FinalState

    History = list[dict[str, Any]]
    Break = Callable[[History, FinalState], None]


def lose_acknowledged_job(_history: History, final: FinalState) -> None:
    final.jobs[0]["status"] = "RUNNING"


def end_job_twice(_history: History, final: FinalState) -> None:
    final.audit.append(broken.change(6.0, "j1", "PENDING", "SUCCEEDED", fence=1, attempt=1))


def change_an_end(_history: History, final: FinalState) -> None:
    final.audit.append(broken.change(6.0, "j1", "SUCCEEDED", "PENDING"))


def forget_acknowledged_report(history: History, _final: FinalState) -> None:
    history.append(broken.report(6.0, "j1", 1, "FAILED"))


def run_two_at_once(_history: History, final: FinalState) -> None:
    final.audit[2]["t"] = 4.6
    final.audit[2], final.audit[3], final.audit[4] = final.audit[3], final.audit[4], final.audit[2]


def hand_out_a_fence_again(_history: History, final: FinalState) -> None:
    final.audit[4]["fence"] = 1


def create_for_an_older_fence(history: History, _final: FinalState) -> None:
    history.append(broken.container(7.0, "created", "j1", 1, "127.31.0.9"))


def route_to_an_older_fence(history: History, _final: FinalState) -> None:
    history.append(broken.route(7.0, broken.OLD))


def accept_an_older_fence(history: History, _final: FinalState) -> None:
    history.append(broken.deploy_call(7.0, 7.1, 1))


def run_the_older_version(_history: History, final: FinalState) -> None:
    final.nodes["node-1"].pages["app-1"] = (200, "j1")


def try_once_too_often(_history: History, final: FinalState) -> None:
    final.audit[4]["attempt"] = final.max_attempts + 1


def make_two_jobs_of_a_key(_history: History, final: FinalState) -> None:
    final.audit.append(broken.change(6.0, "j3", None, "PENDING", image=broken.IMAGE))


def tell_two_jobs_for_a_key(history: History, _final: FinalState) -> None:
    history.append(broken.create(6.0, 1, "j2"))


def route_on_two_nodes(_history: History, final: FinalState) -> None:
    node = final.nodes["node-1"]
    final.nodes["node-2"] = NodeState(node.routes, node.containers, node.pages, node.fences)


def route_before_health(history: History, _final: FinalState) -> None:
    next(entry for entry in history if entry["kind"] == "route")["t"] = 2.05
    history.sort(key=lambda entry: float(entry["t"]))


def route_to_nothing(_history: History, final: FinalState) -> None:
    final.nodes["node-1"].containers.clear()


def route_to_another_apps_container(history: History, _final: FinalState) -> None:
    history.append({**broken.route(7.0, broken.NEW), "app": "app-2"})


def serve_what_failed(history: History, final: FinalState) -> None:
    image = images.reference("app-1", 3, "rgone")
    history += [
        broken.container(6.1, "created", "j3", 3, "127.31.0.7", image=image),
        broken.container(6.2, "served", "j3", 3, "127.31.0.7", image=image, gateway=False),
        broken.route(6.3, "127.31.0.7"),
    ]


def succeed_unseen(history: History, _final: FinalState) -> None:
    history[:] = [e for e in history if not (e.get("gateway") and e["job"] == "j2")]


def succeed_with_what_cannot(_history: History, final: FinalState) -> None:
    for row in final.audit[3:]:
        row["image"] = images.reference("app-1", 2, "exit")


def write_a_secret_down(_history: History, final: FinalState) -> None:
    final.leaks.append("deploy-0.log: DEPLOY_SECRET")


def forget_the_newest(_history: History, final: FinalState) -> None:
    final.app_runs[0]["last_job_id"] = "j1"


def stop_what_serves(history: History, _final: FinalState) -> None:
    history.append(broken.container(7.0, "stopped", "j2", 2, broken.NEW))


def count_the_lease_by_another_clock(_history: History, final: FinalState) -> None:
    final.audit[4]["lease"] += 3_600_000


def deploy_after_an_end_was_told(history: History, _final: FinalState) -> None:
    history.append(broken.deploy_call(6.0, 6.1, 4, "close"))
    history.append(broken.deploy_call(7.0, 7.1, 3))


def create_after_an_end_was_told(history: History, _final: FinalState) -> None:
    history.append(broken.deploy_call(6.0, 6.1, 4, "close"))
    history.append(broken.container(7.0, "created", "j3", 3, "127.31.0.9"))


def switch_after_an_end_was_told(history: History, _final: FinalState) -> None:
    history.append(broken.container(6.0, "created", "j3", 3, "127.31.0.9"))
    history.append(broken.container(6.1, "served", "j3", 3, "127.31.0.9", gateway=False))
    history.append(broken.deploy_call(6.2, 6.3, 4, "close"))
    history.append(broken.route(7.0, "127.31.0.9"))


def be_silent_on_what_serves(_history: History, final: FinalState) -> None:
    final.jobs[1] |= {"status": "CANCELLED", "reason_code": "SUPERSEDED"}


def say_that_another_serves(_history: History, final: FinalState) -> None:
    final.apps[0]["unconfirmed_job_id"] = "j1"


BREAKS: list[tuple[str, Break]] = [
    ("I1", lose_acknowledged_job),
    ("I1", end_job_twice),
    ("I2", change_an_end),
    ("I2", forget_acknowledged_report),
    ("I3", run_two_at_once),
    ("I4", hand_out_a_fence_again),
    ("I5", create_for_an_older_fence),
    ("I5", route_to_an_older_fence),
    ("I5", accept_an_older_fence),
    ("I6", run_the_older_version),
    ("I7", try_once_too_often),
    ("I8", make_two_jobs_of_a_key),
    ("I8", tell_two_jobs_for_a_key),
    ("I9", route_on_two_nodes),
    ("I10", route_before_health),
    ("I10", route_to_nothing),
    ("I10", route_to_another_apps_container),
    ("I11", serve_what_failed),
    ("I12", succeed_unseen),
    ("I12", succeed_with_what_cannot),
    ("I13", write_a_secret_down),
    ("I14", forget_the_newest),
    ("I15", stop_what_serves),
    ("I16", count_the_lease_by_another_clock),
    ("I17", deploy_after_an_end_was_told),
    ("I17", create_after_an_end_was_told),
    ("I17", switch_after_an_end_was_told),
    ("I17", be_silent_on_what_serves),
    ("I17", say_that_another_serves),
]


def test_two_good_deploys_keep_every_promise() -> None:
    assert check(broken.history(), broken.final()) == []


def test_every_invariant_has_a_break() -> None:
    assert {invariant for invariant, _ in BREAKS} == set(CHECKS)


@pytest.mark.parametrize(
    ("invariant", "do_break"), BREAKS, ids=lambda value: getattr(value, "__name__", value)
)
def test_breach_is_found(invariant: str, do_break: Break) -> None:
    history, final = broken.history(), broken.final()

    do_break(history, final)

    assert invariant in {violation.invariant for violation in check(history, final)}


def test_gateway_that_ended_leads_nowhere() -> None:
    history = broken.history()
    history.append({"t": 6.9, "kind": "gateway.ended", "node": "node-1"})
    history.append(broken.container(7.0, "stopped", "j2", 2, broken.NEW))

    assert check(history, broken.final()) == []


def test_answer_that_comes_late_is_no_breach() -> None:
    history = broken.history()
    history.append(broken.deploy_call(4.8, 6.0, 1))

    assert check(history, broken.final()) == []


def test_version_of_a_job_that_was_cut_off_may_run_where_that_is_said() -> None:
    history, final = broken.history(), broken.final()
    final.apps[0]["unconfirmed_job_id"] = "j2"
    final.jobs[1] |= {"status": "CANCELLED", "reason_code": "SUPERSEDED"}
    final.audit[-1]["new_status"] = "CANCELLED"
    final.app_runs[0]["last_job_status"] = "CANCELLED"
    history.pop()

    assert check(history, final) == []


@pytest.mark.parametrize("between", [[], [{"t": 6.5, "kind": "fault", "code": "F23c"}]])
def test_what_was_told_holds_until_the_state_file_is_lost(between: History) -> None:
    history = broken.history()
    history.append(broken.deploy_call(6.0, 6.1, 4, "close", "app-9"))
    history += between
    history.append({**broken.deploy_call(7.0, 7.1, 3, app="app-9")})

    assert {found.invariant for found in check(history, broken.final())} == (
        set() if between else {"I17"}
    )


def test_call_that_began_before_the_word_and_undo_after_it_are_no_breach() -> None:
    history = broken.history()
    history.append(broken.deploy_call(6.0, 6.1, 4, "close"))
    history.append(broken.deploy_call(4.8, 6.2, 2))
    history.append(broken.route(7.0, broken.NEW))

    assert check(history, broken.final()) == []


def test_version_of_a_refused_deploy_may_not_run() -> None:
    history, final = broken.history(), broken.final()
    final.apps[0]["unconfirmed_job_id"] = "j2"
    final.jobs[1] |= {"status": "FAILED", "reason_code": "NEVER_READY"}
    final.audit[-1]["new_status"] = "FAILED"
    final.app_runs[0]["last_job_status"] = "FAILED"
    history.pop()

    assert {violation.invariant for violation in check(history, final)} == {"I6", "I11"}
