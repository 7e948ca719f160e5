"""An app is deployed again and again while clients ask for it: none may fail, none may get the old one."""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.chaos import images
from tests.chaos.history import History
from tests.chaos.loop import LoopThread
from tests.chaos.node import Node
from tests.chaos.parts import ROOT, runner_service
from tests.chaos.processes import eventually
from tests.chaos.series.control_plane import ControlPlane, create_job, job_of
from tests.chaos.series.load_client import Board, is_failing
from tests.chaos.series.nginx_gateway import NginxGateway
from tests.chaos.series.outcome import Outcome
from tests.chaos.slots import take_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.chaos.series.outcome import Options

APP = "shop"
#: One redeploy of so many fails on purpose.
FAILS = 10
_PROCESSES, _CONNECTIONS = 2, 8
_FAILURES = ("exit", "http500", "rgone", "full", "mute")
_JOB_SECONDS = 60.0
_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


def redeploys(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Load the node's own gateway."""
    outcome = _outcome(
        "redeploys", "Redeploys under load drop no request and show no old version", ""
    )
    shop = _Shop(folder)
    with shop.running():
        found = _loaded(shop, shop.node.gateway_port, options, say)
    _tell(outcome, shop, found, options)
    outcome.count("failed requests", _tried(shop, found), found["failed"])
    outcome.count("answers by a wrong version after SUCCEEDED", _tried(shop, found), found["wrong"])
    outcome.violations += [*shop.wrong_ends, *found["failures"], *found["wrongs"], *found["mixed"]]
    return outcome


def redeploys_control(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Load a gateway that is reloaded, in front of the same containers."""
    outcome = _outcome(
        "redeploys-control",
        "Control: the same with an nginx that is reloaded for each route; it must show failures",
        "; the load goes to an nginx (2 workers, 16 kept-alive connections to the app), reloaded by SIGHUP"
        " at the moment of the switch",
    )
    shop = _Shop(folder)
    nginx = NginxGateway(folder, APP)
    shop.node.tap.on_switch = nginx.switch
    with shop.running():
        try:
            nginx.service.start()
            found = _loaded(shop, nginx.port, options, say)
        finally:
            nginx.service.kill()
    _tell(outcome, shop, found, options)
    seen = found["failed"] + found["wrong"]
    measured = f"{found['failed']} failed, {found['wrong']} by a wrong version"
    outcome.fail_unless(
        "failed or wrong", _tried(shop, found), measured, "more than 0", met=seen > 0
    )
    outcome.violations += shop.wrong_ends
    return outcome


def _outcome(name: str, promise: str, more: str) -> Outcome:
    return Outcome(
        name,
        promise,
        f"real Deploy, MariaDB, agent and HAProxy with the role's configuration, a runner whose steps go"
        f" without Ansible, containers and registry in memory; {_PROCESSES * _CONNECTIONS} kept-alive"
        f" connections, GET and POST in turn; one redeploy of {FAILS} fails on purpose{more}",
    )


class _Shop:
    """A platform of one node with one app."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = History(folder / "history.jsonl")
        self.plane = ControlPlane(folder)
        self._slot = take_slot()
        self.node = Node(
            1, folder / "n1", self.history, self.plane.python_path, self._slot.subnet(1)
        )
        self._loop = LoopThread()
        self._runner = runner_service(
            "runner",
            folder,
            self.history,
            self.plane.python_path,
            RUNNER_DEPLOY_URL=self.plane.urls[0],
            RUNNER_LEASE_SECONDS="30",
            RUNNER_WAIT_SECONDS="20",
            RUNNER_READY_SECONDS="2",
        )
        self.count: Counter[str] = Counter()
        self.wrong_ends: list[str] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start everything and deploy version 0; end everything."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._slot.close)
            stack.callback(self._loop.close)
            stack.callback(self.history.close)
            stack.enter_context(self.plane)
            stack.callback(self.node.stop, self._loop)
            self.node.start(self._loop, self.plane.urls[0])
            stack.callback(self._runner.kill)
            self._runner.start()
            assert self.deploy(0) == "SUCCEEDED", "the first deploy failed"
            self.count.clear()
            yield

    def deploy(self, number: int) -> str:
        """Bring the app to a version; return how the job ended."""
        fails = is_failing(number, FAILS)
        word = _FAILURES[number // FAILS % len(_FAILURES)] if fails else "ok"
        job_id = create_job(
            self.plane.urls[0],
            {
                "appId": APP,
                "userId": 1,
                "containerPort": 8080,
                "image": images.reference(APP, number, word),
            },
        )
        job: dict[str, Any] = {}

        def ended() -> bool:
            job.update(job_of(self.plane.urls[0], job_id))
            return job["status"] in _ENDED

        eventually(ended, _JOB_SECONDS, f"end of redeploy {number}")
        self.count[str(job["status"])] += 1
        if job["status"] != ("FAILED" if fails else "SUCCEEDED"):
            self.wrong_ends.append(f"redeploy {number} ({word}): {job['status']}")
        return str(job["status"])


def _loaded(shop: _Shop, port: int, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Redeploy in step with the load, and return what its clients found."""
    board = Board(shop.folder / "board", make=True)
    clients = [
        subprocess.Popen(_client(shop.folder, port, number), stdout=subprocess.PIPE)
        for number in range(_PROCESSES)
    ]
    each = math.ceil(options.requests / options.rounds)
    try:
        for number in range(1, options.rounds + 1):
            if shop.deploy(number) == "SUCCEEDED":
                board.put(Board.OLDEST, number)
            # The load sets the pace: no redeploy may run away from it.
            wanted = number * each
            while board.sum() < wanted and all(client.poll() is None for client in clients):
                time.sleep(0.01)
            if number % 20 == 0:
                say(f"{number} redeploys, {board.sum()} requests")
    finally:
        board.put(Board.STOP, 1)
        printed = [client.communicate(timeout=60)[0] for client in clients]
    return join([json.loads(text) for text in printed])


def _client(folder: Path, port: int, number: int) -> list[str]:
    slot = Board.FIRST_COUNT + number * _CONNECTIONS
    arguments = [str(folder / "board"), str(port), f"/apps/{APP}/", str(_CONNECTIONS), str(slot)]
    return [sys.executable, str(ROOT / "tests/chaos/series/load_client.py"), *arguments, str(FAILS)]


def join(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the findings of all processes as one, and releases that stood for several versions."""
    joined: dict[str, Any] = {
        name: sum(one[name] for one in found) for name in ("requests", "posts", "failed", "wrong")
    }
    for name in ("failures", "wrongs", "seconds"):
        joined[name] = [entry for one in found for entry in one[name]]
    versions: dict[str, set[int]] = {}
    for one in found:
        for release, number, _ in one["releases"]:
            versions.setdefault(release, set()).add(number)
    joined["mixed"] = [
        f"release {release!r} was said of versions {sorted(numbers)}"
        for release, numbers in versions.items()
        if len(numbers) > 1
    ]
    joined["versions"] = len({number for numbers in versions.values() for number in numbers})
    return joined


def _tried(shop: _Shop, found: dict[str, Any]) -> str:
    return (
        f"{shop.count.total()} redeploys ({shop.count['FAILED']} failed on purpose),"
        f" {found['requests']} requests ({found['posts']} POST)"
    )


def _tell(outcome: Outcome, shop: _Shop, found: dict[str, Any], options: Options) -> None:
    outcome.fail_unless(
        "load",
        f"{found['versions']} versions answered",
        f"{found['requests']} requests",
        f"at least {options.requests}",
        met=found["requests"] >= options.requests,
    )
    cuts = statistics.quantiles(found["seconds"], n=100)
    p50, p99 = 1000 * cuts[49], 1000 * cuts[98]
    outcome.say("time of a request", "", f"median {p50:.1f} ms, p99 {p99:.1f} ms")
