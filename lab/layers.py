"""``./dev test``: the layers of tests, from linters to benchmarks on the live lab."""

from __future__ import annotations

import functools
import os
import shutil
import time
import typing as t

from lab import (
    bring_up,
    docs_site,
    engine,
    hosts,
    image,
    layout,
    programs,
    provision,
    pytest_runs,
    shell_environment,
    wheelhouse,
)
from lab.console import Progress, elapsed, failure_text, say
from lab.layer_runs import run_in_order
from lab.process import LabError, follow
from lab.programs import Program
from lab.tally import Tally, summary

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: The long ones first.
_LINTERS = (
    ("ansible-lint",),
    ("mypy",),
    ("yamllint", "--strict", "site.yml", "playbooks", "roles", "inventory", ".config"),
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("shellcheck", "dev", ".ci/run"),
)
#: Limits of the second run and of ``up`` on a lab that is up; see docs/benchmarks.md.
_SECOND_RUN_SECONDS = 120
_UP_AGAIN_SECONDS = 120
_BARE_RUN_SECONDS = 600
#: Linters, and scenarios, at once. CI has two cores, and a scenario keeps little more than one busy.
_AT_ONCE = 2
#: Scenarios to begin with, so that none of them ends long after the others.
_LONG_SCENARIOS = ("deploy", "engine", "runner")
#: Workers among which unit tests are divided.
_UNIT = ("--numprocesses=2", "--dist=worksteal")
#: Workers that divide the files of integration tests among them: most of these wait for others.
_INTEGRATION = ("--numprocesses=3", "--dist=loadscope")
_UP_SECONDS = 900


def _tool_environment() -> dict[str, str]:
    return {
        **provision.environment(),
        "PATH": f"{layout.BIN}:{os.environ['PATH']}",
        "PYTHONPATH": f"{layout.ROOT}:{layout.ROOT / 'services'}",
    }


def _lint(tally: Tally) -> None:
    found = []
    for argv in _LINTERS:
        name = " ".join(argv[:2])
        if shutil.which(argv[0], path=_tool_environment()["PATH"]) is None:
            tally.skipped += 1
            say(f"  {name}: skipped, {argv[0]} is not installed")
            continue
        log = layout.LOGS / f"lint-{argv[0]}-{len(argv)}.log"
        found.append(Program(name, argv, log, layout.ROOT, _tool_environment()))
    programs.check_all(tally, found, at_once=_AT_ONCE)


def _pytest(
    tally: Tally,
    folder: str,
    extra: Mapping[str, str | None] | None = None,
    options: Sequence[str] = (),
) -> None:
    pytest_runs.in_one(tally, folder, {**_tool_environment(), **(extra or {})}, options)


def _integration(tally: Tally) -> None:
    pytest_runs.beside_each_other(tally, "tests/integration", _tool_environment(), _INTEGRATION)


def _chaos(tally: Tally, arguments: Sequence[str]) -> None:
    """Run the platform under faults; the harness judges itself and prints its own table."""
    argv = [str(layout.BIN / "python"), "-m", "tests.chaos", *arguments]
    log = layout.LOGS / "chaos.log"
    code = follow(argv, log, env=_tool_environment(), cwd=layout.ROOT, on_line=say)
    name = " ".join(("chaos", *arguments))
    tally.check(name, ok=code == 0, evidence=f"exit {code}, see {log}")


def _molecule(tally: Tally, *, roles: Sequence[str]) -> None:
    tag, _ = image.ensure_built()
    hosts.ensure_network()
    hosts.require_bridge()
    wheelhouse.ensure_built()
    scenarios = layout.ROOT.glob("roles/*/molecule/default/molecule.yml")
    names = [scenario.parents[2].name for scenario in scenarios]
    asked = [name for name in names if not roles or name in roles]
    asked.sort(key=lambda name: (name not in _LONG_SCENARIOS, name))
    found = [_scenario(name, tag) for name in asked]
    programs.check_all(tally, found, at_once=_AT_ONCE)


def _scenario(role: str, tag: str) -> Program:
    return Program(
        name=f"molecule {role}",
        argv=(str(layout.BIN / "molecule"), "test"),
        log=layout.LOGS / f"molecule-{role}.log",
        cwd=layout.ROOT / "roles" / role,
        env=_molecule_environment(tag),
    )


def _molecule_environment(tag: str) -> dict[str, str]:
    """Return what scenarios boot their hosts with; inventory and settings are the scenario's own."""
    return {
        "MOLECULE_LAB_IMAGE": tag,
        "MOLECULE_LAB_RUN_FLAGS": " ".join(engine.host_run_flags(engine.detect())),
        "PATH": _tool_environment()["PATH"],
        # Its output goes to a file, and from there to whoever asks why it failed.
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
    }


def _fresh_lab(tally: Tally, *, keep_lab: bool) -> None:
    """Time the way from nothing to a live app, then prove that a second time changes nothing."""
    if not keep_lab:
        if engine.answers():
            hosts.remove_all()
        provision.forget_converged()
        check_bare_hosts(tally)
    first = Progress()
    bring_up.up(first, runtimes=1, runners=1, converge=False)
    if not keep_lab:
        site = first.timings["site.yml"] + first.timings.get("forge", 0)
        _limit(tally, "site.yml on bare hosts", site, _BARE_RUN_SECONDS)
        _limit(tally, "up", sum(first.timings.values()), _UP_SECONDS)
    started = time.monotonic()
    second = provision.play(["site.yml"], "site-second")
    changed = {host: count for host, count in second.changed.items() if count}
    tally.check("second site.yml changes nothing", ok=not changed, evidence=str(changed))
    _limit(tally, "second site.yml", time.monotonic() - started, _SECOND_RUN_SECONDS)
    _dry_run(tally, "--check --diff on the live cluster")
    again = Progress()
    bring_up.up(again, runtimes=1, runners=1, converge=False)
    _limit(tally, "up again", sum(again.timings.values()), _UP_AGAIN_SECONDS)


def check_bare_hosts(tally: Tally) -> None:
    """Run ``site.yml`` with ``--check --diff`` on hosts that have nothing yet."""
    bring_up.boot(Progress(), 1, 1)
    # As an operator has them who follows README: without its archive the role would skip the pages.
    wheelhouse.ensure_built()
    docs_site.ensure_built()
    _dry_run(tally, "--check --diff on bare hosts")


def _dry_run(tally: Tally, name: str) -> None:
    started = time.monotonic()
    try:
        provision.play(["site.yml"], "site-check", "--check", "--diff")
    except LabError as error:
        tally.check(name, ok=False, evidence=failure_text(name, error))
        return
    say(f"  {name}: ok ({elapsed(time.monotonic() - started)})")
    tally.check(name, ok=True)


def _limit(tally: Tally, name: str, seconds: float, limit: float) -> None:
    say(f"  {name}: {elapsed(seconds)} (limit {elapsed(limit)})")
    tally.check(f"{name} within {elapsed(limit)}", ok=seconds <= limit, evidence=elapsed(seconds))


def _on_live_lab(tally: Tally, folder: str, extra: dict[str, str]) -> None:
    bring_up.up(Progress(), runtimes=1, runners=1, converge=False)
    _pytest(tally, folder, {**shell_environment.for_programs(), **extra})


def _layer_calls(
    *,
    quick: bool = False,
    keep_lab: bool = False,
    roles: Sequence[str] = (),
    chaos: Sequence[str] = (),
) -> dict[str, Callable[[Tally], None]]:
    rounds = {"FUNAI_BENCH_QUICK": "1"} if quick else {}
    return {
        "lint": _lint,
        "unit": functools.partial(_pytest, folder="tests/unit", options=_UNIT),
        "integration": _integration,
        "chaos": functools.partial(_chaos, arguments=chaos),
        "molecule": functools.partial(_molecule, roles=roles),
        "lab": functools.partial(_fresh_lab, keep_lab=keep_lab),
        "acceptance": functools.partial(_on_live_lab, folder="tests/acceptance", extra={}),
        "e2e": functools.partial(_on_live_lab, folder="tests/e2e", extra={}),
        "bench": functools.partial(_on_live_lab, folder="tests/bench", extra=rounds),
    }


LAYERS = tuple(_layer_calls())


def run_layers(
    names: Sequence[str],
    *,
    quick: bool,
    keep_lab: bool,
    roles: Sequence[str],
    chaos: Sequence[str] = (),
) -> int:
    """Run the layers ``names``, or all; print the table; return the exit code.

    :param chaos: arguments of the layer chaos, see ``python -m tests.chaos --help``
    """
    calls = _layer_calls(quick=quick, keep_lab=keep_lab, roles=roles, chaos=chaos)
    layout.private_directory(layout.STATE)
    layout.private_directory(layout.LOGS)
    if set(names or LAYERS) & {"integration", "molecule"}:
        engine.ensure_running()
    started = time.monotonic()
    tallies = run_in_order({name: calls[name] for name in names or LAYERS})
    say()
    for line in summary(tallies, time.monotonic() - started):
        say(line)
    return 0 if all(tally.ok for tally in tallies) else 1
