from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from funai.runtime_agent.apps.holds import Hold
from funai.runtime_agent.apps.launch import wait_ready
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.errors import ContainerExitedError
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from funai.runtime_agent.engine.containers import Container

#: Nothing listens at the discard port.
OPERATION = Operation(
    1, "shop", "7", "job-1", 1, Phase.STARTED, "rt-shop-1", "127.0.0.1", 9, "app:1", "", "sha256:a"
)
RUNS_AGAIN = replace(
    running("rt-shop-1", "127.0.0.1", {}, image_id="sha256:a", bound=()), restart_count=1
)


class Engine:
    """Tells of the container what is next in the list, then the last for ever."""

    def __init__(self, *told: Container) -> None:
        self._told = list(told)

    def find(self, _name: str) -> Container:
        return self._told.pop(0) if len(self._told) > 1 else self._told[0]

    def logs(self, _name: str) -> list[str]:
        return ["no database"]


def refusal(*told: Container) -> ContainerExitedError:
    engine: Any = Engine(*told)
    with pytest.raises(ContainerExitedError) as caught:
        wait_ready(engine, OPERATION, 5, Hold("a deploy", brief=False))
    return caught.value


def test_status_is_read_while_the_container_does_not_run() -> None:
    ended = replace(RUNS_AGAIN, restarting=True, exit_code=3)

    error = refusal(RUNS_AGAIN, RUNS_AGAIN, ended)

    assert error.evidence["exitCode"] == 3
    assert "with status 3" in error.detail


def test_status_of_a_container_that_runs_on_is_unknown() -> None:
    assert refusal(RUNS_AGAIN).evidence["exitCode"] is None
