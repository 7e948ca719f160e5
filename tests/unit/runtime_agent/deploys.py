"""A deploy in the journal, and a gateway for its route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runtime_agent.apps.model import Operation, Phase

if TYPE_CHECKING:
    from funai.runtime_agent.apps.repository import AppRepository


class Gateway:
    """Takes every route."""

    def __init__(self) -> None:
        self.routes: dict[str, str] = {}

    def saved(self) -> dict[str, str]:
        return dict(self.routes)

    live = saved

    def set(self, app_id: str, route: str) -> None:
        self.routes[app_id] = route

    def delete(self, app_id: str) -> None:
        self.routes.pop(app_id, None)


def prepare(apps: AppRepository, app_id: str, fence: int) -> Operation:
    """Begin a deploy of image ``app:1``, whose container is ``rt-{app_id}-{fence}``."""
    name = f"rt-{app_id}-{fence}"
    operation = Operation(
        0, app_id, "7", "", fence, Phase.PREPARED, name, "", 80, "app:1", "sha256:d", "sha256:i"
    )
    return apps.prepare(operation, set(), pulled=False, number_name=False)
