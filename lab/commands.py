"""The commands of ``./dev``."""

from __future__ import annotations

import argparse
import typing as t

from lab import console, engine, hosts, identity, image, layout
from lab.console import Progress, say
from lab.process import LabError

if t.TYPE_CHECKING:
    from collections.abc import Sequence


def boot(progress: Progress, runtimes: int, runners: int) -> list[hosts.BootedHost]:
    """Bring the lab's hosts to where Ansible can reach them."""
    wanted = layout.lab_hosts(runtimes, runners)
    identity.ensure()
    with progress.step("engine") as step:
        step.result = engine.ensure_running()
    with progress.step("image") as step:
        tag, built = image.ensure_built()
        step.result = f"{tag} {'built' if built else 'is there'}"
    with progress.step("hosts") as step:
        hosts.ensure_network()
        booted = hosts.ensure_booted(wanted, tag)
        hosts.write_extra_hosts(wanted)
        step.result = ", ".join(f"{each.host.name} {each.was}" for each in booted)
    return booted


def _hosts(options: argparse.Namespace, progress: Progress) -> int:
    boot(progress, options.runtimes, options.runners)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="./dev")
    commands = parser.add_subparsers(dest="command", required=True)
    hosts_parser = commands.add_parser("hosts")
    hosts_parser.add_argument("--runtimes", type=int, default=1)
    hosts_parser.add_argument("--runners", type=int, default=1)
    hosts_parser.set_defaults(call=_hosts)
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        return int(options.call(options, progress))
    except LabError as error:
        say()
        console.complain(console.failure_text(progress.current, error))
        return 1
