"""One crash: a deploy that dies at a point, the restart, and what must hold before and after."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests

from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway.runtime_socket import RuntimeSocket
from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers

if TYPE_CHECKING:
    from pathlib import Path

    from docker.api.client import APIClient

    from tests.chaos.agent_crash_load import Answer, Load
    from tests.chaos.agent_crash_points import Point

APP_ID = "shop"
#: The promise: a node is itself again this long after its agent was started.
RECONCILED_SECONDS = 3.0
_GIVE_UP_SECONDS = 20.0
_CRASH_SECONDS = 30.0
_ENDED = {"DONE", "UNDONE"}


class CrashingNode(Node):
    """A node whose agent has traps in it."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The launcher that sets the traps, and the file that arms one."""
        return ("-m", "tests.chaos.agent_crash_launcher", str(self.armed))

    @property
    def armed(self) -> Path:
        """The file with the name of the point to die at."""
        return self.folder / "armed"


@dataclass
class Round:
    """What one crash showed."""

    old: int = 0
    new: int = 0
    reconciled_seconds: float = 0.0
    orphans: int = 0
    violations: list[str] = field(default_factory=list)


class Crashes:
    """Deploys again and again and lets the agent die; one app goes on through all of it."""

    def __init__(self, node: CrashingNode, engine: APIClient, repository: str, load: Load) -> None:
        self._node, self._engine, self._repository, self._load = node, engine, repository, load
        self._routes = HaproxyMap(node.haproxy.map_file, RuntimeSocket(node.haproxy.socket))
        self._fence = 1

    def first_deploy(self) -> None:
        """Make the version that serves before the first crash."""
        answer = self._node.deploy(self._image(1), fence=1, release="r1")
        assert answer.ok, answer.text
        self._wait_reconciled()

    def run(self, point: Point) -> Round:
        """Kill the agent once at the point, start it, and look."""
        old, self._fence = str(self._node.status_row()["release"]), self._fence + 1
        began = self._load.count()
        result = Round()
        if not self._die_at(point):
            result.violations.append("the agent never came past this point")
        # While the agent is dead.
        self._hear_more()
        started = time.monotonic()
        self._node.start()
        result.reconciled_seconds = self._wait_reconciled(started)
        result.orphans = len(self._orphans())
        # The clients think between their requests: none of them may have met the new version yet.
        self._hear_more()
        new = f"r{self._fence}"
        answers = self._load.since(began)
        result.old = sum(answer.release == old for answer in answers)
        result.new = sum(answer.release == new for answer in answers)
        result.violations += _wrong_answers(answers, old, new)
        result.violations += self._wrong_end(point, old, new, result)
        if not self._wrong_state() and point.serves == "new":
            result.violations += self._repeat_is_not_the_same()
        return result

    def _image(self, fence: int) -> str:
        return f"{self._repository}:prompt-{fence % 2}"

    def _die_at(self, point: Point) -> bool:
        node, process = self._node, self._node.process
        assert process is not None
        node.armed.write_text(point.name)
        image = f"{self._repository}:exits" if point.fails else self._image(self._fence)
        caller = threading.Thread(target=self._deploy, args=(image,), daemon=True)
        caller.start()
        deadline = time.monotonic() + _CRASH_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        died = process.poll() is not None
        node.kill()
        node.armed.unlink()
        caller.join(10)
        return died

    def _deploy(self, image: str) -> None:
        try:
            self._node.deploy(image, fence=self._fence, release=f"r{self._fence}")
        except requests.RequestException:
            return

    def _hear_more(self) -> None:
        """Return after some more requests."""
        asked = self._load.count()
        eventually(lambda: self._load.count() >= asked + 20, what="requests")

    def _wait_reconciled(self, started: float | None = None) -> float:
        started = time.monotonic() if started is None else started
        while self._wrong_state() and time.monotonic() < started + _GIVE_UP_SECONDS:
            time.sleep(0.02)
        return time.monotonic() - started

    def _wrong_state(self) -> list[str]:
        """Return what is not yet as it should be: journal, routes, containers."""
        row = self._node.status_row(APP_ID)
        route = f"{row['address']}:{row['port']}/{row['release']}"
        wrong = [f"journal has {phase}" for phase in self._node.phases() if phase not in _ENDED]
        if self._routes.saved() != {APP_ID: route}:
            wrong.append(f"map file {self._routes.saved()}, record {route}")
        if self._routes.live() != {APP_ID: route}:
            wrong.append(f"gateway {self._routes.live()}, record {route}")
        if own_containers(self._engine, self._node) != [row["container_name"]]:
            wrong.append(f"containers {own_containers(self._engine, self._node)}")
        return wrong

    def _orphans(self) -> set[str]:
        wanted = self._node.status_row(APP_ID)["container_name"]
        return set(own_containers(self._engine, self._node)) - {wanted}

    def _wrong_end(self, point: Point, old: str, new: str, result: Round) -> list[str]:
        wrong = self._wrong_state()
        if result.reconciled_seconds > RECONCILED_SECONDS:
            wrong.append(f"reconciled only after {result.reconciled_seconds:.2f} s")
        left = [path.name for path in self._node.haproxy.folder.glob(".routes.map.*")]
        if left:
            wrong.append(f"temporary files of the map stay: {left}")
        serves = self._node.haproxy.get(f"/apps/{APP_ID}/").headers.get("X-App-Release")
        wanted = old if point.serves == "old" else new
        if serves != wanted:
            wrong.append(f"{serves} serves after the restart, not {wanted}")
        # Every point lies behind the moment at which the fence is kept.
        if self._node.status_row(APP_ID)["max_fence"] < self._fence:
            wrong.append("the fence went back")
        return wrong

    def _repeat_is_not_the_same(self) -> list[str]:
        """Repeat the call whose answer the crash took: it must be answered without a deploy."""
        before = self._node.phases()
        again = self._node.deploy(
            self._image(self._fence), fence=self._fence, release=f"r{self._fence}"
        )
        name = self._node.status_row(APP_ID)["container_name"]
        if again.ok and again.json()["containerName"] == name and self._node.phases() == before:
            return []
        return [f"the repeated deploy got {again.status_code}: {again.text[:200]}"]


def _wrong_answers(answers: list[Answer], old: str, new: str) -> list[str]:
    wrong = [
        f"failed request: {answer.status} {answer.error}" for answer in answers if answer.failed
    ]
    seen_new = float("inf")
    for answer in answers:
        if answer.failed:
            continue
        if answer.release not in {old, new} or answer.image != _image_of(answer.release):
            wrong.append(f"release {answer.release} answered as {answer.image}")
        elif answer.release == new:
            seen_new = min(seen_new, answer.done)
        elif answer.sent > seen_new:
            wrong.append(f"{old} answered after {new} had")
    return wrong


def _image_of(release: str) -> str:
    return f"prompt-{int(release.removeprefix('r')) % 2}"
