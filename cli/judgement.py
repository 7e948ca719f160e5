"""What is not well on a platform, in sentences that say what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli import words

if TYPE_CHECKING:
    from cli.figures import Queue
    from cli.hosts import Look

_NODE_ADVICE = {
    "STALE": "look at its agent: systemctl status funai-runtime-agent there",
    "UNHEALTHY": "free space there: ansible-playbook playbooks/ops/prune.yml",
}


@dataclass(frozen=True)
class Trouble:
    """Something that is not well: what it is about, what is wrong, what to do next."""

    about: str
    problem: str
    advice: str


@dataclass(frozen=True)
class Standing:
    """A whole platform as it was seen."""

    looks: list[Look]
    #: Why Deploy does not answer; None where it does.
    deploy_problem: str | None = None
    nodes: list[dict[str, Any]] = field(default_factory=list)
    runners: list[dict[str, Any]] = field(default_factory=list)
    queue: Queue | None = None

    @property
    def seen(self) -> bool:
        """Whether anything answered at all."""
        return self.deploy_problem is None or any(look.trouble is None for look in self.looks)


def troubles(standing: Standing) -> list[Trouble]:
    """Return what is not well, hosts first."""
    found = [trouble for look in standing.looks for trouble in _of_host(look)]
    if standing.deploy_problem is not None:
        advice = "look at funai-deploy on its host and at the database it uses"
        return [*found, Trouble("Deploy", standing.deploy_problem, advice)]
    return [*found, *_of_nodes(standing.nodes), *_of_runners(standing.runners)]


def _of_host(look: Look) -> list[Trouble]:
    name = look.host.name
    if look.trouble is not None:
        advice = f"check that the host is up: ssh {look.host.address}"
        return [Trouble(name, look.trouble, advice)]
    found = [
        Trouble(
            name,
            f"{unit.name} is {unit.state}",
            "converge the host: ansible-playbook site.yml --limit " + name
            if unit.state == "not installed"
            else f"read its journal there: journalctl -u {unit.name} -n 50",
        )
        for unit in look.units
        if not unit.ok
    ]
    return found + [
        Trouble(
            name,
            f"{disk.mount} has {disk.free_ratio:.0%} free",
            "free space there; what the platform made goes by playbooks/ops/prune.yml",
        )
        for disk in look.disks
        if not disk.ok
    ]


def _of_nodes(nodes: list[dict[str, Any]]) -> list[Trouble]:
    """Judge nodes: one that an operator took out is as it should be."""
    found = [
        Trouble(node["name"], words.health(node["health"])[0], _NODE_ADVICE[node["health"]])
        for node in nodes
        if node["health"] in _NODE_ADVICE
    ]
    if not any(node["health"] == "HEALTHY" for node in nodes):
        advice = "without one no app can be deployed: fab nodes"
        found.append(Trouble("nodes", "none is healthy and enabled", advice))
    return found


def _of_runners(runners: list[dict[str, Any]]) -> list[Trouble]:
    """Judge runners together: one that was taken away is listed for 30 days more."""
    if any(runner["health"] == "HEALTHY" for runner in runners):
        return []
    advice = "jobs wait until one comes: look at funai-runner on the hosts of group runner"
    return [Trouble("runners", "none has asked for work lately", advice)]
