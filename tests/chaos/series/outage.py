"""The whole control plane is off for minutes: apps live on, die and come back, and so does their host.

Runs in the lab, whose hosts it stops and starts: database, Deploy and runner by systemd, one app's
container by a signal, the runtime host by cutting its power.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import requests

from tests.acceptance.live_platform import load_platform
from tests.bench.caller import Caller, wait_until
from tests.bench.redeploy_under_load import FAILURES, Load
from tests.chaos.series.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.acceptance.live_platform import Platform
    from tests.chaos.series.outcome import Options

_PREFIX = "funai-lab-"
#: What is off, by the group of its host; started in the opposite order.
_CONTROL_PLANE = (("runner", "funai-runner"), ("deploy", "funai-deploy"), ("api", "mariadb"))
#: Asked all the time; killed by the kernel's signal; killed through the engine. The second has
#: another image, so that a route to the wrong one shows.
_APPS = ("outage-steady", "outage-killed", "outage-stopped")
_IMAGES = (0, 1, 0)
#: The promise: after its container was killed, an app is back so soon; after its host was, so.
BACK_SECONDS = 5.0
HOST_BACK_SECONDS = 15.0
_GIVE_UP_SECONDS = 120.0
#: Docker starts a container later and later that ended within ten seconds.
_SETTLE_SECONDS = 12.0
_ASK_SECONDS = 0.02


def outage(_folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Stop the control plane for some minutes."""
    platform = load_platform()
    if not platform.is_lab:
        msg = f"{platform.inventory} is not the lab's; this stops hosts, so only the lab runs it"
        raise RuntimeError(msg)
    outcome = Outcome(
        "outage",
        "Database, Deploy and runner off: apps are served, and come back by themselves",
        f"the lab's hosts; MariaDB, Deploy and runner stopped for {options.minutes:g} minutes under load"
        " through the edge (16 kept-alive connections, GET and POST); containers killed by SIGKILL to"
        " their process and by docker kill in turn; then the runtime host's power cut",
    )
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(Caller(platform, app)) for app in _APPS]
        for caller, image in zip(callers, _IMAGES, strict=True):
            caller.deploy(caller.images[image])
        trial = _Trial(platform, callers)
        with _control_plane_off(platform, say):
            _minutes(trial, outcome, options, say)
            say("cuts the runtime host's power")
            _cut_power(trial, outcome)
        job = callers[0].deploy(callers[0].images[1])
        outcome.say("the control plane works again", "1 deploy after it", str(job["status"]))
    return outcome


@contextlib.contextmanager
def _control_plane_off(platform: Platform, say: Callable[[str], None]) -> Iterator[None]:
    try:
        for group, unit in _CONTROL_PLANE:
            _on_host(platform, group, "systemctl", "stop", unit)
        say("the control plane is off")
        yield
    finally:
        for group, unit in reversed(_CONTROL_PLANE):
            _on_host(platform, group, "systemctl", "start", unit)
        say("the control plane is on")
        with requests.Session() as session:
            url = f"{platform.deploy_url}/internal/health"
            wait_until(lambda: _answers(session, url), _GIVE_UP_SECONDS, url)


class _Trial:
    """The apps, what they show, and what was wrong with that."""

    def __init__(self, platform: Platform, callers: list[Caller]) -> None:
        self.platform = platform
        self._callers = callers
        #: What each app shows while all is well.
        self.expected: list[str | None] = list(self._wait_releases())
        self.wrong: list[str] = []

    def _wait_releases(self) -> list[str]:
        found: list[str | None] = []

        def all_there() -> bool:
            found[:] = self.releases()
            return None not in found

        wait_until(all_there, _GIVE_UP_SECONDS, "the edge's routes")
        return [str(release) for release in found]

    def releases(self) -> list[str | None]:
        """Return what each app shows now; None where it does not answer."""
        return [self._release(caller) for caller in self._callers]

    def _release(self, caller: Caller) -> str | None:
        with contextlib.suppress(requests.RequestException):
            return caller.release()
        return None

    def seconds_until_right(self, since: float) -> float:
        """Return how long until all apps show what they should; notes what is shown wrongly."""
        while (found := self.releases()) != self.expected:
            for app, right, now in zip(_APPS, self.expected, found, strict=True):
                if now not in {None, right}:
                    self.wrong.append(f"{app} showed {now}, not {right}")
            if time.monotonic() - since > _GIVE_UP_SECONDS:
                self.wrong.append(f"not all came back: {found}, not {self.expected}")
                break
            time.sleep(_ASK_SECONDS)
        return time.monotonic() - since

    def kill(self, app: str, *, by_engine: bool) -> float:
        """End the app's container at once, as the kernel would or a hand; return when, or just before."""
        name = self.container(app)
        command = ["docker", "kill", name]
        if not by_engine:
            ask = ("docker", "inspect", "-f", "{{.State.Pid}}", name)
            command = ["kill", "-9", _on_host(self.platform, "runtime", *ask)]
        killed_at = time.monotonic()
        _on_host(self.platform, "runtime", *command)
        return killed_at

    def container(self, app: str) -> str:
        ask = ("docker", "ps", "--filter", f"label=io.funai.app={app}", "--format", "{{.Names}}")
        return _on_host(self.platform, "runtime", *ask).split()[0]

    def addresses(self) -> dict[str, str]:
        """Return where each app's container is, as the engine says."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return {
            app: _on_host(
                self.platform, "runtime", "docker", "inspect", "-f", form, self.container(app)
            )
            for app in _APPS
        }

    def routes(self) -> dict[str, str]:
        """Return where the running gateway sends each app's requests."""
        shown = _on_host(
            self.platform,
            "runtime",
            "python3",
            "-c",
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/routes.sock');"
            " s.sendall(b'show map /var/lib/funai-routes/routes.map\\n'); print(s.makefile().read())",
        )
        rows = (line.split() for line in shown.splitlines())
        return {row[1]: row[2].partition(":")[0] for row in rows if row[1:] and row[1] in _APPS}


def _minutes(trial: _Trial, outcome: Outcome, options: Options, say: Callable[[str], None]) -> None:
    """Kill containers while one app is asked all the time."""
    ends_at = time.monotonic() + 60 * options.minutes
    pause = max(_SETTLE_SECONDS, 60 * options.minutes / (options.rounds + 1))
    by_kernel: list[float] = []
    by_engine: list[float] = []
    with Load(trial.platform.edge_url, f"/apps/{_APPS[0]}/") as load:
        for number in range(options.rounds):
            time.sleep(pause)
            killed_at = trial.kill(_APPS[1 + number % 2], by_engine=bool(number % 2))
            seconds = trial.seconds_until_right(killed_at)
            (by_engine if number % 2 else by_kernel).append(seconds)
            say(f"{_APPS[1 + number % 2]} was back after {seconds:.2f} s")
        threading.Event().wait(max(0.0, ends_at - time.monotonic()))
    figures = load.figures
    failed = int(sum(figures[name] for name in FAILURES))
    tried = f"{figures['requests']:.0f} requests in {figures['seconds'] / 60:.1f} minutes"
    outcome.count("failed app requests", tried, failed)
    times = f"{len(by_kernel)} kills"
    outcome.most("app back after SIGKILL of its process", times, by_kernel, BACK_SECONDS)
    times = f"{len(by_engine)} kills"
    outcome.most("app back after docker kill", times, by_engine, BACK_SECONDS)


def _cut_power(trial: _Trial, outcome: Outcome) -> None:
    name = _PREFIX + next(iter(trial.platform.hosts["runtime"]))
    _run("docker", "kill", name)
    started_at = time.monotonic()
    _run("docker", "start", name)
    seconds = trial.seconds_until_right(started_at)
    outcome.most(
        "all apps of the host back after its power is on again",
        "1 power cut",
        [seconds],
        HOST_BACK_SECONDS,
    )
    after, routes = trial.addresses(), trial.routes()
    trial.wrong += [
        f"{app} is at {after[app]}, routed to {routes.get(app)}"
        for app in _APPS
        if routes.get(app) != after[app]
    ]
    outcome.count("answers and routes of a wrong app", f"{len(_APPS)} apps", len(trial.wrong))
    outcome.violations += trial.wrong


def _answers(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _on_host(platform: Platform, group: str, *argv: str) -> str:
    name = _PREFIX + next(iter(platform.hosts[group]))
    return _run("docker", "exec", name, *argv)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        msg = f"{' '.join(argv)}: {done.stderr.strip()[-300:]}"
        raise RuntimeError(msg)
    return done.stdout.strip()
