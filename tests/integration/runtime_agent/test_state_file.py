"""The agent's state file comes back from an old copy, or has no room."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.runtime_agent.images import let_go
from tests.integration.runtime_agent.rig import FakeDeploy, Haproxy, Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers
from tests.integration.runtime_agent.test_recovery import HEALED_SECONDS, deploy_in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker.api.client import APIClient


def save_copy(node: Node) -> Path:
    """Copy the state file as a backup would, journal and all."""
    copy = node.folder / "agent.db.copy"
    source, target = sqlite3.connect(node.folder / "agent.db"), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return copy


def put_back(node: Node, copy: Path) -> None:
    node.kill()
    for suffix in ("-wal", "-shm"):
        (node.folder / f"agent.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, node.folder / "agent.db")
    node.start()


def test_old_copy_takes_neither_fence_nor_version_back(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    copy = save_copy(node)
    assert node.deploy(app_image("prompt-1"), fence=5, release="r5").ok
    eventually(lambda: own_containers(engine, node) == ["rt-shop-5"], 30)

    put_back(node, copy)

    eventually(lambda: node.status()["fence"] == 5, HEALED_SECONDS)
    assert node.page().startswith("release prompt-1 ")
    assert own_containers(engine, node) == ["rt-shop-5"]
    assert node.deploy(app_image("2"), fence=4).json()["reason"] == "STALE_FENCE"
    again = node.deploy(app_image("prompt-1"), fence=5, release="r5").json()
    assert (again["containerName"], again["release"]) == ("rt-shop-5", "r5")


def test_old_copy_in_the_middle_of_a_deploy_does_not_undo_what_serves(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("prompt-0"), fence=1).ok
    caller = deploy_in_background(node, app_image("gated"), fence=2)
    eventually(lambda: "STARTED" in node.phases(), what="started")
    copy = save_copy(node)
    let_go(engine, "rt-shop-2")
    caller.join(60)
    eventually(lambda: own_containers(engine, node) == ["rt-shop-2"], 30)
    serving = engine.inspect_container("rt-shop-2")["Id"]

    put_back(node, copy)

    eventually(lambda: node.phases()[-1] == "DONE", 30)
    assert engine.inspect_container("rt-shop-2")["Id"] == serving
    assert node.page().startswith("release gated ")
    assert own_containers(engine, node) == ["rt-shop-2"]


def lose_state(node: Node) -> None:
    """End the agent at once and lose its file."""
    node.kill()
    for path in node.folder.glob("agent.db*"):
        path.unlink()


def test_lost_file_in_the_middle_of_a_first_deploy_routes_to_nothing(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    deploy_in_background(node, app_image("silent"), fence=3)
    eventually(lambda: "STARTED" in node.phases(), what="started")

    lose_state(node)
    node.start()

    eventually(lambda: own_containers(engine, node) == [], 40, "the container is nobody's")
    assert node.haproxy.map_file.read_text() == ""
    assert node.deploy(app_image("1"), fence=2).json()["reason"] == "STALE_FENCE"
    # What was cut off may be done again: nothing came of it.
    assert node.deploy(app_image("1"), fence=3).ok
    assert node.page().startswith("release 1 ")


def test_lost_file_and_routes_do_not_give_the_app_to_a_container_that_never_answered(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    deploy_in_background(node, app_image("silent"), fence=2)
    eventually(lambda: "STARTED" in node.phases(), what="started")

    lose_state(node)
    node.haproxy.map_file.write_text("")
    node.start()

    eventually(
        lambda: own_containers(engine, node) == ["rt-shop-1"], 40, "only the one that serves"
    )
    eventually(lambda: "shop" in node.haproxy.map_file.read_text(), what="its route")
    assert node.page().startswith("release 1 ")


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass
    assert os.statvfs(path.parent).f_bavail == 0


@pytest.fixture
def small_node(
    tmp_path: Path,
    haproxy: Haproxy,
    fake_deploy: FakeDeploy,
    remove_containers: Callable[[str], None],
) -> Iterator[Node]:
    """Return a node whose state lies on a file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],  # noqa: S607
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs to mount a file system")
    remove_containers(f"small-{tmp_path.name}")
    node = Node(folder, f"small-{tmp_path.name}", haproxy, fake_deploy)
    yield node.start()
    node.stop()
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def test_full_disk_stops_deploys_but_no_app(
    small_node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    node = small_node
    assert node.deploy(app_image("1"), fence=1).ok
    ballast = node.folder / "ballast"
    fill(ballast)

    answer = node.deploy(app_image("2"), fence=2)
    node.haproxy.command(f"clear map {node.haproxy.map_file}")
    engine.kill("rt-shop-1")

    assert (answer.status_code, answer.json()["reason"]) == (507, "DISK_FULL")
    eventually(lambda: node.page().startswith("release 1 "), HEALED_SECONDS)
    assert own_containers(engine, node) == ["rt-shop-1"]

    ballast.unlink()
    assert node.deploy(app_image("2"), fence=2).ok
    assert node.page().startswith("release 2 ")
    eventually(lambda: node.condition("state").get("ok"), what="state")
