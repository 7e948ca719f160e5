"""The commands of ``./dev``."""

from __future__ import annotations

import argparse
import os
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from lab import (
    bring_up,
    console,
    docs_site,
    engine,
    health,
    hosts,
    layers,
    layout,
    provision,
    wheelhouse,
)
from lab.console import Progress, say
from lab.process import LabError, run
from lab.shell_environment import exports

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[[argparse.Namespace, Progress], int]


def _up(options: argparse.Namespace, progress: Progress) -> int:
    sizes = {"runtimes": options.runtimes, "runners": options.runners}
    if options.hosts_only:
        bring_up.boot(progress, **sizes)
    else:
        bring_up.up(progress, **sizes, converge=options.converge)
    return 0


def _down(options: argparse.Namespace, progress: Progress) -> int:
    if not engine.answers():
        say("No container engine answers, so nothing of the lab runs.")
        return 0
    with progress.step("remove") as step:
        removed = hosts.remove_all()
        provision.forget_converged()
        step.result = f"{len(removed)} containers, volumes and networks"
    if not options.keep_image:
        with progress.step("image") as step:
            tags = run(["docker", "images", "-q", "funai-lab-host"], timeout=60).split()
            if tags:
                run(["docker", "rmi", "--force", *dict.fromkeys(tags)], timeout=120)
            step.result = f"{len(tags)} removed"
    if engine.stop_if_ours():
        say("  engine stopped: the lab had started it")
    return 0


def _status(_: argparse.Namespace, __: Progress) -> int:
    members = hosts.existing()
    if not members:
        say("There is no lab: ./dev up")
        return 1
    with ThreadPoolExecutor(max_workers=8) as pool:
        states = list(pool.map(health.unit_states, members))
    say(f"{'host':<14} {'address':<16} services")
    for host, units in zip(members, states, strict=True):
        say(f"{host.name:<14} {host.address:<16} " + _render_units(units))
    say()
    verdicts = health.check_services(members)
    for verdict in verdicts:
        word = "healthy" if verdict.ok else "DOWN"
        say(f"{verdict.name:<14} {word:<16} {verdict.url}  {verdict.evidence}")
    broken = [s for units in states for s in units.values() if s != "active"]
    return 0 if all(v.ok for v in verdicts) and not broken else 1


def _render_units(units: dict[str, str]) -> str:
    return "  ".join(f"{name}: {state}" for name, state in units.items())


def _find_host(name: str) -> layout.LabHost:
    """Accept ``api-01`` and, for the first of its group, ``api``."""
    for host in hosts.existing():
        if name in {host.name, host.group}:
            return host
    known = ", ".join(host.name for host in hosts.existing()) or "none, run ./dev up"
    message = f"there is no host '{name}'; there are: {known}"
    raise LabError(message)


def _become(argv: list[str]) -> int:
    """Hand the terminal over to ``argv``."""
    sys.stdout.flush()
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


def _ssh(options: argparse.Namespace, _: Progress) -> int:
    hosts.require_bridge()
    return _become(hosts.ssh_argv(_find_host(options.host), options.remote_command))


def _logs(options: argparse.Namespace, _: Progress) -> int:
    try:
        group, unit = health.find_unit(options.service)
    except KeyError:
        known = ", ".join(name for units in health.UNITS.values() for name in units)
        message = f"there is no service '{options.service}'; there are: {known}"
        raise LabError(message) from None
    hosts.require_bridge()
    command = ["journalctl", "--no-pager", "--unit", unit, "--lines", str(options.lines)]
    if options.follow:
        command.append("--follow")
    return _become(hosts.ssh_argv(_find_host(options.host or group), command))


def _env(_: argparse.Namespace, __: Progress) -> int:
    say(exports())
    return 0


def _docs(_: argparse.Namespace, progress: Progress) -> int:
    with progress.step("docs") as step:
        step.note("builds the site")
        step.result = (
            f"{docs_site.build()} pages in {docs_site.SITE}, packed in {docs_site.ARCHIVE}"
        )
    return 0


def _archives(_: argparse.Namespace, progress: Progress) -> int:
    with progress.step("services") as step:
        step.note("downloads and packs what they need")
        built = [name for name, is_new in wheelhouse.ensure_built().items() if is_new]
        step.result = f"built {', '.join(built)}" if built else "are up to date"
    with progress.step("documentation") as step:
        step.result = "built" if docs_site.ensure_built() else "is up to date"
    say(f"{layout.BUILD} has what site.yml copies to the hosts.")
    return 0


def _test(options: argparse.Namespace, _: Progress) -> int:
    chaos = ["--tier", "full"] if options.full else []
    chaos += ["--seed", str(options.seed)] if options.seed is not None else []
    chaos += ["--mutants"] if options.mutants else []
    chosen = {
        "quick": options.quick,
        "keep_lab": options.keep_lab,
        "roles": options.role,
        "chaos": chaos,
    }
    return layers.run_layers(options.layers, **chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev", description="The lab on this machine, and the tests."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, call: Command, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(call=call)
        return made

    up = command("up", _up, "make the hosts, converge them, deploy a demo app, print the URLs")
    up.add_argument("--runtimes", type=int, default=1, metavar="N", help="runtime nodes")
    up.add_argument("--runners", type=int, default=1, metavar="N", help="runner hosts")
    up.add_argument("--converge", action="store_true", help="run site.yml even if nothing changed")
    up.add_argument("--hosts-only", action="store_true", help="only hosts that answer over SSH")
    down = command("down", _down, "remove the lab's hosts, volumes and network; keys stay")
    down.add_argument("--keep-image", action="store_true", help="keep the hosts' image")
    command("status", _status, "show hosts, services and health")
    ssh = command("ssh", _ssh, "log in to a host, or run a command there")
    ssh.add_argument("host", help="api-01, or api for the first of its group")
    ssh.add_argument("remote_command", nargs=argparse.REMAINDER, metavar="command")
    logs = command("logs", _logs, "show the journal of a service")
    logs.add_argument("service", help="deploy, runner, runtime, gateway, edge, database, ...")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int, default=200)
    logs.add_argument("--host", help="another host than the first of its group")
    command("env", _env, 'print the lab for a shell: eval "$(./dev env)"')
    command("docs", _docs, "build the site of docs/ and pack it")
    command("archives", _archives, "build what site.yml copies to hosts that are not the lab's")
    _add_test_options(command("test", _test, f"run layers of tests: {' '.join(layers.LAYERS)}"))
    return parser


def _add_test_options(test: argparse.ArgumentParser) -> None:
    test.add_argument("layers", nargs="*", metavar="LAYER", choices=[*layers.LAYERS, []])
    test.add_argument("--role", action="append", default=[], help="layer molecule: only this role")
    test.add_argument("--quick", action="store_true", help="fewer rounds in benchmarks")
    test.add_argument("--full", action="store_true", help="layer chaos: 10,000 jobs")
    test.add_argument("--seed", type=int, help="layer chaos: the same plan of faults again")
    test.add_argument(
        "--mutants", action="store_true", help="layer chaos: prove that defects are caught"
    )
    test.add_argument("--keep-lab", action="store_true", help="layer lab: use the lab that runs")


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    layout_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY"), layout.SUBNET, "127.0.0.1"]))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = layout_proxy
    progress = Progress()
    started = time.monotonic()
    try:
        return int(options.call(options, progress))
    except (LabError, ValueError) as error:
        failure = error if isinstance(error, LabError) else LabError(str(error))
        console.complain(
            "\n" + console.failure_text(f"{options.command}, step {progress.current}", failure)
        )
        console.complain(f"  after {console.elapsed(time.monotonic() - started)}")
        return 1
    except KeyboardInterrupt:
        console.complain("\ninterrupted")
        return 130
