"""Finishes or undoes deploys that a crash left in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runtime_agent.apps.backoff import Backoff
from funai.runtime_agent.apps.launch import wait_ready
from funai.runtime_agent.apps.model import AFTER_SWITCH, BEFORE_SWITCH, Operation, Phase
from funai.runtime_agent.apps.trouble import Trouble
from funai.runtime_agent.errors import (
    BusyError,
    ContainerExitedError,
    NeverReadyError,
    RouteFailedError,
    StaleFenceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from funai.runtime_agent.apps.deployment import Deployment
    from funai.runtime_agent.apps.drain import Drains
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.http_probe import Answer

_READY_SECONDS = 3.0


class Recovery:
    """Works through open journal entries that nobody holds."""

    def __init__(self, parts: Parts, deployment: Deployment, drains: Drains) -> None:
        self._parts = parts
        self._deployment = deployment
        self._drains = drains
        self._backoff = Backoff()

    def run(self, is_known: Callable[[str], bool]) -> None:
        """Bring every open entry forward; one that cannot be is tried again next time.

        :param is_known: whether an app's record says what its containers show; an entry of
            another app stays as it is
        :raises EngineUnavailableError: at once, where the engine cannot be reached
        :raises AgentError: what entries met with, after all had their turn
        :raises sqlite3.Error: as well, where it was the state file that refused
        """
        trouble = Trouble()
        for operation in self._open(AFTER_SWITCH, is_known):
            self._drains.begin(operation)
        for operation in self._open(BEFORE_SWITCH, is_known):
            with trouble.kept(), self._backoff.after_silence(operation.container_name):
                self._try(operation)
        trouble.raise_kept()

    def _open(self, phases: Iterable[Phase], is_known: Callable[[str], bool]) -> list[Operation]:
        found = self._parts.apps.open_operations(phases)
        return [operation for operation in found if is_known(operation.app_id)]

    def _try(self, operation: Operation) -> None:
        try:
            with self._parts.holds.take_briefly(operation.app_id) as hold:
                self._recover(operation.id, hold)
        except (BusyError, RouteFailedError):
            # Whoever holds the app ends it; the gateway's state is reported with the routes.
            return

    def _recover(self, entry: int, hold: Hold) -> None:
        # Read again under the hold: its owner may have ended it meanwhile.
        for operation in self._parts.apps.open_operations(BEFORE_SWITCH):
            if operation.id != entry:
                continue
            try:
                direct = self._check_worth(operation, hold)
            except (ContainerExitedError, NeverReadyError, StaleFenceError) as error:
                self._deployment.undo(operation, error.detail)
            else:
                self._deployment.finish(operation, direct, hold)

    def _check_worth(self, operation: Operation, hold: Hold) -> Answer:
        """Return the answer of a container that may still be switched to, else raise."""
        name = operation.container_name
        if operation.phase is not Phase.HEALTHY and not self._was_routed(operation):
            msg = f"the agent went down when {name} was {operation.phase}"
            raise NeverReadyError(msg)
        self._parts.apps.get(operation.app_id).admit(operation.fence)
        if self._parts.apps.is_overtaken(operation):
            msg = f"a later deploy of {operation.app_id} was carried out instead of {name}"
            raise StaleFenceError(msg)
        return wait_ready(self._parts.containers, operation, _READY_SECONDS, hold)

    def _was_routed(self, operation: Operation) -> bool:
        """Return whether the journal is an old copy: no route goes live before HEALTHY is written."""
        early = operation.phase in {Phase.PREPARED, Phase.STARTED}
        return early and self._parts.gateway.saved().get(operation.app_id) == operation.route
