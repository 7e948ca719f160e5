"""Whether all is well: hosts, Deploy, nodes, runners, queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli import hosts, judgement, times, words
from cli.deploy_api import DeployApi
from cli.errors import CliError, UnreachableError
from cli.figures import LISTED, read_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.hosts import Look
    from cli.judgement import Standing, Trouble
    from cli.platform import Platform
    from cli.view import Cell, View

_UNHEALTHY = 1


def status(platform: Platform, view: View) -> int:
    """Show how a platform is; return 1 where something is not well.

    :raises UnreachableError: where nothing of it answers
    """
    with view.waiting("asks the hosts and Deploy", len(platform.hosts) + 1) as done:
        looks = hosts.look_at_all(platform.hosts, done)
        standing = _ask_deploy(DeployApi(platform), looks)
        done()
    if not standing.seen:
        advice = f"check the network and the inventory {platform.inventory}"
        msg = f"neither Deploy at {platform.deploy_url} nor any of the {len(looks)} hosts answers"
        raise UnreachableError(msg, advice)
    found = judgement.troubles(standing)
    if view.as_json:
        view.document(_document(platform, view, standing, found))
    else:
        _show(view, standing, found)
    return _UNHEALTHY if found else 0


def _ask_deploy(api: DeployApi, looks: list[Look]) -> Standing:
    try:
        api.ready()
        return judgement.Standing(
            looks,
            nodes=api.nodes(),
            runners=api.runners(),
            queue=read_queue(api.unended_jobs(LISTED), api.figures()),
        )
    except CliError as error:
        return judgement.Standing(looks, deploy_problem=error.reason)


def _document(
    platform: Platform, view: View, standing: Standing, found: list[Trouble]
) -> dict[str, Any]:
    queue = standing.queue
    oldest = queue.oldest if queue else None
    return {
        "version": 1,
        "at": times.iso(view.now),
        "inventory": platform.inventory,
        "healthy": not found,
        "troubles": [
            {"about": each.about, "problem": each.problem, "advice": each.advice} for each in found
        ],
        "hosts": [_host_document(look) for look in standing.looks],
        "deploy": {
            "url": platform.deploy_url,
            "healthy": standing.deploy_problem is None,
            "problem": standing.deploy_problem,
        },
        "nodes": [{"name": node["name"], "health": node["health"]} for node in standing.nodes],
        "runners": [
            {
                "runnerId": runner["runnerId"],
                "health": runner["health"],
                "lastSeenAt": times.iso(times.from_ms(runner["lastSeenAtMs"])),
            }
            for runner in standing.runners
        ],
        "queue": queue
        and {
            "waiting": queue.waiting,
            "running": queue.running,
            "oldestJobId": oldest and oldest["id"],
            "oldestCreatedAt": oldest and oldest["createdAt"],
            "oldestReasonCode": oldest and oldest["reasonCode"],
            "oldestReason": oldest and oldest["reason"],
        },
    }


def _host_document(look: Look) -> dict[str, Any]:
    return {
        "name": look.host.name,
        "address": look.host.address,
        "groups": list(look.host.groups),
        "healthy": look.ok,
        "problem": look.trouble,
        "services": [
            {"name": unit.name, "state": unit.state, "expected": unit.expected}
            for unit in look.units
        ],
        "disks": [
            {"mount": disk.mount, "sizeBytes": disk.size_bytes, "freeBytes": disk.free_bytes}
            for disk in look.disks
        ],
    }


def _show(view: View, standing: Standing, found: list[Trouble]) -> None:
    rows = [(look.host.name, *_host_cells(look)) for look in standing.looks]
    view.table(["host", "health", "disk free", "services"], rows)
    view.line("")
    if standing.deploy_problem is None:
        view.line("Deploy   ", ("healthy", words.GOOD), ", its database answers")
        view.line("Nodes    ", *_counted(standing.nodes, lambda node: str(node["name"])))
        view.line("Runners  ", *_counted(standing.runners, lambda runner: _runner(runner, view)))
        _show_queue(view, standing)
    else:
        view.line("Deploy   ", ("not well", words.BAD))
    view.line("")
    if not found:
        view.line(("All is well.", words.GOOD))
    for trouble in found:
        view.line((f"{trouble.about}: {trouble.problem}", words.BAD))
        view.line(f"  next: {trouble.advice}")


def _host_cells(look: Look) -> tuple[Cell, Cell, Cell]:
    if look.trouble is not None:
        return ("not reached", words.BAD), "-", look.trouble
    word = ("healthy", words.GOOD) if look.ok else ("not well", words.BAD)
    tightest = min(look.disks, key=lambda disk: disk.free_ratio, default=None)
    disk = "-"
    if tightest is not None:
        disk = f"{times.size(tightest.free_bytes)}, {tightest.free_ratio:.0%}"
    names = [unit.name if unit.ok else f"{unit.name}: {unit.state}" for unit in look.units]
    return word, disk, ", ".join(names) or "-"


def _counted(members: list[dict[str, Any]], name: Callable[[dict[str, Any]], str]) -> list[Cell]:
    """Return ``1 of 2 healthy``, with the others by name."""
    healthy = sum(member["health"] == "HEALTHY" for member in members)
    style = words.GOOD if healthy else words.BAD
    parts: list[Cell] = [(f"{healthy} of {len(members)} healthy", style)]
    for member in members:
        word, shade = words.health(member["health"])
        if member["health"] != "HEALTHY":
            parts += ["; ", f"{name(member)}: ", (word, shade)]
    return parts


def _runner(runner: dict[str, Any], view: View) -> str:
    seen = times.from_ms(runner["lastSeenAtMs"])
    return f"{runner['runnerId']} (seen {view.when(seen)})"


def _show_queue(view: View, standing: Standing) -> None:
    queue = standing.queue
    if queue is None:
        return
    view.line("Queue    ", f"{queue.waiting} waiting, {queue.running} running")
    if queue.oldest is not None:
        since = view.when(times.from_iso(queue.oldest["createdAt"]))
        reason = queue.oldest["reason"] or queue.oldest["reasonCode"] or "no reason given"
        view.line(f"         job {queue.oldest['id']} waits longest, made {since}: {reason}")
