"""Invariants of effects: containers, routes and what users see. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.chaos import images
from tests.chaos.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry

#: Reasons with which an agent answers before it touches a route.
UNTOUCHED = {
    "IMAGE_NOT_FOUND", "REGISTRY_UNAVAILABLE", "REGISTRY_DENIED", "DISK_FULL", "CONTAINER_EXITED",
    "NEVER_READY",
}  # fmt: skip
_GONE = {"container.stopped", "container.removed"}


def is_deploy_call(entry: Entry) -> bool:
    """Tell whether the entry is a call to an agent to deploy."""
    return bool(entry["kind"] == "call" and entry["request"].endswith("/agent/apps/deploy"))


def containers_at_routes(history: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield each route switch with the creation of the container that it leads to."""
    at_address: dict[str, Entry] = {}
    for entry in history:
        if entry["kind"] == "container.created":
            at_address[entry["address"]] = entry
        elif entry["kind"] == "route" and entry["verb"] in {"set", "add"}:
            container = at_address.get(entry["route"].partition(":")[0])
            if container is not None:
                yield entry, container


def effects_in_fence_order(history: list[Entry], _final: FinalState) -> Iterator[Violation]:
    """I5: once a deploy was acknowledged, no older fence makes, serves or is told anything."""
    switches = {id(route): container for route, container in containers_at_routes(history)}
    done: dict[str, int] = defaultdict(int)
    for entry in history:
        if is_deploy_call(entry):
            yield from _judge_answer(entry, done)
        elif entry["kind"] == "container.created" and entry["fence"] < done[entry["app"]]:
            text = f"{entry['name']} was created after fence {done[entry['app']]} was done"
            yield Violation("I5", text, entry["t"])
        elif id(entry) in switches and switches[id(entry)]["fence"] < done[entry["app"]]:
            text = (
                f"app {entry['app']} was routed to {switches[id(entry)]['name']} after fence"
                f" {done[entry['app']]} was done"
            )
            yield Violation("I5", text, entry["t"])


def _judge_answer(call: Entry, done: dict[str, int]) -> Iterator[Violation]:
    body = call["body"]
    if call["status"] != 200 or not isinstance(body, dict):
        return
    app, fence = body["appId"], body["fence"]
    began_after = call.get("done_at_begin", {}).get(app, 0)
    if fence < began_after:
        yield Violation(
            "I5", f"app {app}: fence {fence} was accepted after {began_after}", call["t"]
        )
    done[app] = max(done[app], fence)


def newest_success_runs(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I6: what runs in the end is the highest accepted deploy that SUCCEEDED.

    A claimed job that ended without its runner's SUCCEEDED may have come as far as the switch: its
    version may be there, newer than the last success, where Deploy says so of the app.
    """
    said = {row["app_id"]: row["unconfirmed_job_id"] for row in final.apps}
    jobs = {job["id"]: job for job in final.jobs}
    expected: dict[str, dict[str, Any]] = {}
    for job in final.jobs:
        if job["status"] == "SUCCEEDED":
            before = expected.get(job["app_id"])
            if before is None or job["deploy_seq"] > before["deploy_seq"]:
                expected[job["app_id"]] = job
    running = {
        app: jobs.get(page[1], {})
        for node in final.nodes.values()
        for app, page in node.pages.items()
    }
    for app, job in expected.items():
        found = running.get(app, {})
        if found.get("id") != job["id"] and not (
            _in_doubt(found, job) and said.get(app) == found["id"]
        ):
            text = (
                f"app {app} runs job {found.get('id')} ({found.get('status')}, seq"
                f" {found.get('deploy_seq')}); its newest success is {job['id']},"
                f" seq {job['deploy_seq']}"
            )
            yield Violation("I6", text)


def _in_doubt(found: dict[str, Any], success: dict[str, Any]) -> bool:
    """Tell whether the job that runs is newer, was claimed, and was cut off after that."""
    if not found or found["deploy_seq"] <= success["deploy_seq"] or not found["attempt"]:
        return False
    return found["status"] in {"FAILED", "CANCELLED"} and found["reason_code"] not in UNTOUCHED


def count_in_doubt(final: FinalState) -> int:
    """Return how many apps run a version of a job that was cut off after its switch."""
    succeeded = {job["id"] for job in final.jobs if job["status"] == "SUCCEEDED"}
    pages = [page for node in final.nodes.values() for page in node.pages.values()]
    return sum(status == 200 and job not in succeeded for status, job in pages)


def one_node(_history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I9: an app has a route on at most one node."""
    where: dict[str, list[str]] = defaultdict(list)
    for name, node in final.nodes.items():
        for app in node.routes:
            where[app].append(name)
    for app, names in where.items():
        if len(names) > 1:
            yield Violation("I9", f"app {app} has routes on {names}")


def routes_lead_to_healthy(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I10: a route leads to a container of its app that had answered before the switch."""
    served: dict[str, float] = {}
    for entry in history:
        if entry["kind"] == "container.served":
            served.setdefault(entry["name"], entry["t"])
    for route, container in containers_at_routes(history):
        if container["app"] != route["app"]:
            text = f"app {route['app']} was routed to {container['name']} of {container['app']}"
            yield Violation("I10", text, route["t"])
        elif served.get(container["name"], float("inf")) > route["t"]:
            text = f"app {route['app']} was routed to {container['name']} before that answered"
            yield Violation("I10", text, route["t"])
    for name, node in final.nodes.items():
        yield from _routes_in_the_end(name, node)


def _routes_in_the_end(name: str, node: Any) -> Iterator[Violation]:
    running = {c["address"]: c for c in node.containers if c["running"]}
    for app, route in node.routes.items():
        container = running.get(route.partition("/")[0])
        if container is None or container["app"] != app:
            yield Violation(
                "I10", f"{name}: the route of {app} to {route} leads to no container of it"
            )
        elif node.pages.get(app, (0, ""))[0] != 200:
            yield Violation(
                "I10", f"{name}: {app} answers {node.pages.get(app)} through the gateway"
            )


def failures_change_nothing(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I11: what a deploy that failed made never serves."""
    jobs = {job["id"]: job for job in final.jobs}
    for route, container in containers_at_routes(history):
        job = jobs.get(container["job"], {})
        doomed = not images.of(container["image"]).may_succeed
        refused = job.get("reason_code") in UNTOUCHED and job.get("fence") == container["fence"]
        if doomed or (refused and job["status"] == "FAILED"):
            text = (
                f"app {route['app']} was routed to {container['name']} of {container['image']},"
                f" whose deploy failed: {job.get('reason_code')}"
            )
            yield Violation("I11", text, route["t"])


def served_containers_stay(history: list[Entry], _final: FinalState) -> Iterator[Violation]:
    """I15: a container is not stopped or removed while its app's route leads to it."""
    switches = {id(route): container for route, container in containers_at_routes(history)}
    serving: dict[str, str] = {}
    where: dict[str, str] = {}
    for entry in history:
        if id(entry) in switches:
            serving[entry["app"]] = switches[id(entry)]["name"]
            where[entry["app"]] = entry["node"]
        elif entry["kind"] == "gateway.ended":
            serving = {app: name for app, name in serving.items() if where[app] != entry["node"]}
        elif entry["kind"] == "route" and entry["verb"] == "del":
            serving.pop(entry["app"], None)
        elif entry["kind"] in _GONE and serving.get(entry["app"]) == entry["name"]:
            text = f"{entry['name']} went while the route of {entry['app']} led to it"
            yield Violation("I15", text, entry["t"])


def success_was_seen(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I12: SUCCEEDED comes only after the new version answered through the gateway."""
    seen: dict[str, float] = {}
    for entry in history:
        if entry["kind"] == "container.served" and entry["gateway"]:
            seen.setdefault(entry["job"], entry["t"])
    for change in final.audit:
        if change["new_status"] != "SUCCEEDED":
            continue
        if not images.of(change["image"]).may_succeed:
            text = f"job {change['job_id']} of {change['image']} SUCCEEDED, which nothing can"
            yield Violation("I12", text, change["t"])
        # Two clocks are compared here; they agree to within milliseconds.
        elif seen.get(change["job_id"], float("inf")) > change["t"] + 0.05:
            text = f"job {change['job_id']} SUCCEEDED before it answered through the gateway"
            yield Violation("I12", text, change["t"])
