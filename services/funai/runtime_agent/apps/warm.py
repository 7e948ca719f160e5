"""Lets warm containers go: when their time is over, or when they died."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from funai.runtime_agent.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.runtime_agent.apps.model import Warm
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.containers import Seen

_LOG = logging.getLogger(__name__)
# Nobody has asked it anything for long; the reconcile waits for it.
_GRACE_SECONDS = 5


def expire(parts: Parts, seen: Mapping[str, Seen]) -> None:
    """Stop and remove the warm containers that are of no use any more.

    :param seen: the node's containers
    """
    now = time.time()
    parts.apps.shorten_warm(now + parts.warm_seconds)
    for warm in parts.apps.all_warm():
        container = seen.get(warm.container_name)
        runs = container is not None and container.running and warm.address in container.addresses
        if runs and warm.until > now:
            continue
        try:
            with parts.holds.take_briefly(warm.app_id):
                _let_go(parts, warm, "its time is over" if runs else "it does not run")
        except BusyError:
            continue


def _let_go(parts: Parts, warm: Warm, why: str) -> None:
    # The record first: what a crash leaves then is an orphan, which the reconcile removes.
    if parts.apps.forget_warm(warm):
        _LOG.info("%s stays warm no more: %s", warm.container_name, why)
        parts.containers.stop(warm.container_name, _GRACE_SECONDS)
        parts.containers.remove(warm.container_name)
