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
    from funai.runtime_agent.vault import Vault


@dataclass(frozen=True)
class Parts:
    """State, engine and gateway of one node."""

    apps: AppRepository
    containers: Containers
    images: Images
    gateway: Gateway
    holds: Holds
    vault: Vault
    node_name: str
    gateway_base_url: str
    #: How long a replaced container stays ready to serve again; 0: not at all.
    warm_seconds: float
    #: How many distinct images of an app stay on the node, the running one included.
    kept_revisions: int
    #: Held while images are removed, and while a deploy makes sure of its own.
    retention: threading.Lock
    #: Set when the process ends.
    stopping: threading.Event
