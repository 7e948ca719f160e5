"""What the tests of Deploy share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.deploy.agent_stub import AgentStub

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def agent() -> Iterator[AgentStub]:
    """The agent of node-1."""
    stub = AgentStub()
    yield stub
    stub.close()
