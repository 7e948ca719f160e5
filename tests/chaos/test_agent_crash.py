"""One crash at every point of a deploy; ``agent_crash.py`` does it as often as asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import pytest

from tests.chaos.agent_crash import crashing_node
from tests.chaos.agent_crash_points import POINTS
from tests.integration.gateway.conftest import HAPROXY
from tests.integration.runtime_agent import images
from tests.integration.runtime_agent.rig import NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.agent_crash_points import Point
    from tests.chaos.agent_crash_round import Crashes


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashes]:
    if not images.BUSYBOX.exists() or not Path(HAPROXY).exists():
        pytest.skip("needs the packages busybox-static and haproxy")
    try:
        engine = images.connect()
    except docker.errors.DockerException as exc:
        pytest.skip(f"needs a container engine: {exc}")
    with crashing_node(engine, tmp_path_factory.mktemp("c")) as node:
        yield node
    images.remove_network(engine, NETWORK)
    engine.close()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name.replace(" ", "-"))
def test_killed_agent_comes_back_without_a_failed_request(crashes: Crashes, point: Point) -> None:
    found = crashes.run(point)

    assert found.violations == []
    assert found.orphans == 0
    assert (found.new == 0) == (point.serves == "old")
