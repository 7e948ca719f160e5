"""What every use case on apps stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from funai.runtime_agent.apps.holds import Holds
    from funai.runtime_agent.apps.repository import AppRepository
    from funai.runtime_agent.engine.containers import Containers
    from funai.runtime_agent.engine.images import Images
    from funai.runtime_agent.gateway import Gateway


@dataclass(frozen=True)
class Parts:
    """State, engine and gateway of one node."""

    apps: AppRepository
    containers: Containers
    images: Images
    gateway: Gateway
    holds: Holds
    node_name: str
    gateway_base_url: str
    #: Set when the process ends.
    stopping: threading.Event
