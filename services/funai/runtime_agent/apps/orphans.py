"""Containers of this node that no record wants: a crash left them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.errors import BusyError, RouteFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.containers import Container

_LOG = logging.getLogger(__name__)


def find_orphans(parts: Parts, listed: Iterable[str]) -> list[str]:
    """Return which containers nobody wants.

    :param listed: names of this node's containers, read before the records; as a record is
        written before its container is made, one in the list without a record is nobody's
    """
    wanted = parts.apps.wanted()
    return [name for name in listed if name not in wanted]


def remove_orphan(parts: Parts, name: str) -> bool:
    """Remove a container if still nobody wants it; return whether it is gone.

    One that the gateway leads to stays until it no longer does, and while nobody can tell.
    """
    container = parts.containers.find(name)
    if container is None:
        return True
    if not container.managed:
        # Somebody gave its name to another one just now.
        return False
    try:
        with parts.holds.take_briefly(container.labels.get(labels.APP, name)):
            if name in parts.apps.wanted() or _may_serve(parts, container):
                return False
            _LOG.warning("removing %s: no record wants it", name)
            parts.containers.remove(name)
    except BusyError:
        return False
    return True


def _may_serve(parts: Parts, container: Container) -> bool:
    try:
        live = parts.gateway.live().values()
    except RouteFailedError:
        return True
    hosts = {route.partition(":")[0] for route in live}
    return not hosts.isdisjoint(container.addresses)
