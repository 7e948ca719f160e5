"""Whether the thing at an address is the container that a record means.

An answer proves that something answers. A container that died leaves its address to whoever comes
next, so before a route goes live the engine is asked who has it
(docs/decisions/0065-who-answers-at-an-address.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.errors import NeverReadyError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.model import Operation
    from funai.runtime_agent.engine.containers import Container, Containers


def check_identity(containers: Containers, operation: Operation) -> None:
    """Return where the address of a deploy is held by the very container of its app and release.

    :raises NeverReadyError: saying what is there instead
    """
    container = containers.find(operation.container_name)
    wrong = _differs(container, operation)
    if wrong:
        msg = f"{operation.address} is not the address of {operation.container_name} any more"
        msg = f"{msg}: {wrong}; nothing was routed there, deploy again"
        raise NeverReadyError(msg, {"address": operation.address, "found": wrong})


def is_of(container: Container, app_id: str) -> bool:
    """Return whether the platform made the container for this app."""
    return container.managed and container.labels.get(labels.APP) == app_id


def _differs(container: Container | None, entry: Operation) -> str:
    """Return in what the container is not the one that the entry means; empty: it is."""
    if container is None or not container.running or container.restarting:
        return "the container is gone" if container is None else "the container does not run"
    facts = [
        ("app", is_of(container, entry.app_id), container.labels.get(labels.APP)),
        ("image", container.image_id == entry.image_id, container.image_id),
        ("fence", _has_fence(container, entry), container.labels.get(labels.FENCE)),
        ("address", entry.address in container.bound, ", ".join(container.bound)),
    ]
    return "; ".join(f"the {what} is {found or 'none'}" for what, same, found in facts if not same)


def _has_fence(container: Container, entry: Operation) -> bool:
    # A warm one that serves again keeps the fence of its first deploy.
    return entry.reused or container.labels.get(labels.FENCE) == str(entry.fence)
