"""One deploy: start beside the old, wait, switch, and only then let the old one go.

Each step is in the journal before the next begins; ``recovery.py`` finishes or undoes what a
crash left (docs/decisions/0031-journal-of-the-agent.md).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from funai.contract.app_settings import MILLI
from funai.runtime_agent.apps.answer import deployed
from funai.runtime_agent.apps.identity import check_identity, is_of
from funai.runtime_agent.apps.launch import container_spec, wait_ready
from funai.runtime_agent.apps.model import AppState, Operation, Phase, Setup
from funai.runtime_agent.errors import (
    AgentError,
    ContainerExitedError,
    EngineFailedError,
    InvalidRequestError,
    NeverReadyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.runtime_agent.apps.app_settings import AppSettings
    from funai.runtime_agent.apps.drain import Drains
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.model import App, DeployRequest
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.images import Image
    from funai.runtime_agent.http_probe import Answer

_LOG = logging.getLogger(__name__)
# A warm container that takes longer is not worth the wait: a new one starts instead.
_WARM_READY_SECONDS = 3.0


@dataclass
class Durations:
    """Milliseconds that each part of a deploy took."""

    pull: int = 0
    start: int = 0
    ready: int = 0
    switch: int = 0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Time the block."""
        began = time.monotonic()
        try:
            yield
        finally:
            setattr(self, part, round((time.monotonic() - began) * 1000))


class Deployment:
    """Carries out deploys.

    :param parts: engine, gateway and state of the node
    :param drains: takes over the old containers after the switch
    """

    def __init__(self, parts: Parts, drains: Drains) -> None:
        self._parts = parts
        self._drains = drains

    def run(self, request: DeployRequest, hold: Hold) -> dict[str, Any]:
        """Deploy and return the answer; the old container still drains then.

        :raises AgentError: the old container and its route are as they were
        """
        self._check_room(request.settings)
        durations = Durations()
        with durations.measure("pull"):
            image = self._parts.images.resolve(request.image, hold.check)
        self._check_newest(request.app_id, request.fence, hold)
        operation = self._prepare_reuse(request, image)
        if operation is not None:
            try:
                return self._carry_out(operation, request, image, durations, hold)
            except (ContainerExitedError, NeverReadyError) as error:
                _LOG.warning("%s is warm no more, starting a new one", operation.container_name)
                _LOG.warning("%s", error.detail)
        operation = self._prepare(request, image, hold)
        return self._carry_out(operation, request, image, durations, hold)

    def _carry_out(
        self,
        operation: Operation,
        request: DeployRequest,
        image: Image,
        durations: Durations,
        hold: Hold,
    ) -> dict[str, Any]:
        """Take a prepared deploy through its phases, or undo it."""
        parts = self._parts
        ready_seconds = _WARM_READY_SECONDS if operation.reused else request.ready_seconds
        with self._undone_on_failure(operation):
            if not operation.reused:
                with durations.measure("start"):
                    parts.containers.create(
                        container_spec(operation, image.start_reference, request.settings)
                    )
                operation = parts.apps.advance(operation, Phase.STARTED)
            with durations.measure("ready"):
                direct = wait_ready(parts.containers, operation, ready_seconds, hold)
            operation = parts.apps.advance(operation, Phase.HEALTHY)
            self._check_newest(request.app_id, request.fence, hold)
            with durations.measure("switch"):
                self._switch_route(operation, direct, hold)
            answer = deployed(self._parts, operation, vars(durations), warm=operation.reused)
            if image.note:
                answer["imageNote"] = f"the image on this node was used: {image.note}"
            operation = parts.apps.switch(operation, answer, parts.warm_seconds)
        _LOG.info("deployed %s as %s: %s", request.app_id, operation.container_name, answer)
        self._drains.begin(operation)
        return answer

    def _switch_route(self, operation: Operation, direct: Answer, hold: Hold) -> None:
        check_identity(self._parts.containers, operation)
        self._parts.gateway.set(operation.app_id, operation.route)
        self._parts.gateway.confirm(operation.app_id, operation.health_path, direct, hold)

    def finish(self, operation: Operation, direct: Answer, hold: Hold) -> None:
        """Switch to a container that was healthy when the agent went down.

        :param direct: what the container answers now
        :raises AgentError: the journal still says HEALTHY then
        """
        self._switch_route(operation, direct, hold)
        answer = deployed(self._parts, operation, {}, warm=operation.reused)
        operation = self._parts.apps.switch(operation, answer, self._parts.warm_seconds)
        _LOG.info("finished the deploy of %s as %s", operation.app_id, operation.container_name)
        self._drains.begin(operation)

    def undo(self, operation: Operation, reason: str) -> None:
        """Remove what a failed deploy made and give the app its old route back.

        A warm container was not made by it: that one stays warm.
        """
        parts = self._parts
        # Before it was healthy, no gateway was told of it.
        was_told = operation.phase not in {Phase.PREPARED, Phase.STARTED}
        try:
            operation = parts.apps.advance(operation, Phase.UNDOING, reason)
        except sqlite3.OperationalError:
            # No room: what was made goes all the same. Recovery then finds nothing to go on with.
            _LOG.exception("the journal cannot say that %s is undone", operation.container_name)
        if self._leads_to(operation, was_told=was_told):
            route = parts.apps.get(operation.app_id).route
            if route:
                parts.gateway.set(operation.app_id, route)
            else:
                parts.gateway.delete(operation.app_id)
        if not operation.reused:
            self._remove_made(operation)
        parts.apps.advance(operation, Phase.UNDONE, reason)
        _LOG.warning("deploy of %s undone: %s", operation.app_id, reason)

    def _leads_to(self, operation: Operation, *, was_told: bool) -> bool:
        """Tell whether the app's route leads to the deploy's container, in the file or in the gateway.

        An undo that was cut short has changed the one and not the other.

        :raises RouteFailedError: where that cannot be known
        """
        gateway, app_id = self._parts.gateway, operation.app_id
        if gateway.saved().get(app_id) == operation.route:
            return True
        return was_told and gateway.live().get(app_id) == operation.route

    def _remove_made(self, operation: Operation) -> None:
        """Remove the deploy's container, but never what serves: the journal may be an old copy."""
        app = self._parts.apps.get(operation.app_id)
        name = operation.container_name
        container = self._parts.containers.find(name)
        if container is None or not is_of(container, operation.app_id):
            return
        if app.state is not AppState.DEPLOYED or app.container_name != name:
            self._parts.containers.remove(name)

    def _prepare_reuse(self, request: DeployRequest, image: Image) -> Operation | None:
        """Open a journal entry for the warm container; None where it is not what is asked for."""
        app, warm = self._parts.apps.get(request.app_id), self._parts.apps.warm(request.app_id)
        setup = Setup(
            request.user_id,
            image.digest,
            request.port,
            request.health_path,
            self._parts.vault.mark(request.settings),
        )
        # Who deploys what runs already wants it started anew.
        if warm is None or warm.setup != setup or app.runs(setup):
            return None
        container = self._parts.containers.find(warm.container_name)
        if container is None or not container.running or warm.address not in container.addresses:
            return None
        operation = self._operation(request, image, app.max_fence)
        return self._parts.apps.prepare_reuse(
            replace(
                operation,
                container_name=warm.container_name,
                address=warm.address,
                replaced=self._present(request, app, besides=warm.container_name),
                reused=True,
            ),
            self._parts.vault.seal(request.settings),
        )

    def _prepare(self, request: DeployRequest, image: Image, hold: Hold) -> Operation:
        containers = self._parts.containers
        app = self._parts.apps.get(request.app_id)
        taken = {*containers.ensure_network(), *self._parts.gateway.hosts()}
        operation = self._operation(request, image, app.max_fence)
        operation = replace(operation, replaced=self._present(request, app))
        number_name = containers.find(operation.container_name) is not None
        with self._parts.retention:
            pulled = image.pulled
            # Until the journal names the image, it may have been removed as one too many.
            if image.has_registry:
                again = self._parts.images.resolve(image.start_reference, hold.check)
                pulled |= again.pulled
            try:
                return self._parts.apps.prepare(
                    operation,
                    taken,
                    pulled=pulled,
                    number_name=number_name,
                    sealed=self._parts.vault.seal(request.settings),
                )
            except LookupError as exc:
                raise EngineFailedError(str(exc)) from exc

    def _operation(self, request: DeployRequest, image: Image, max_fence: int) -> Operation:
        fence = max_fence if request.fence is None else request.fence
        return Operation(
            id=0,
            app_id=request.app_id,
            user_id=request.user_id,
            job_id=request.job_id,
            fence=fence,
            phase=Phase.PREPARED,
            container_name=f"rt-{request.app_id}-{fence}",
            address="",
            port=request.port,
            image=request.image,
            image_digest=image.digest,
            image_id=image.image_id,
            release=request.release,
            health_path=request.health_path,
            settings=self._parts.vault.mark(request.settings),
        )

    def _present(
        self, request: DeployRequest, app: App, besides: str = ""
    ) -> tuple[tuple[str, str], ...]:
        """Return (name, address) of the containers that the new one replaces.

        :param besides: the one that replaces them, where it is there already
        """
        containers = self._parts.containers
        draining = {
            name
            for operation in self._parts.apps.open_operations([Phase.SWITCHED])
            for name, _ in operation.replaced
            # One that serves again while an earlier deploy still drains it is replaced by this one.
            if name != app.container_name
        }
        replaced = []
        for name in [*containers.of_app(request.app_id), *request.legacy_names]:
            container = containers.find(name)
            if container is None or name in draining or name == besides:
                continue
            # A legacy name may be another app's new one: app "app", fence 7 is "rt-app-7".
            if container.managed and container.labels.get("io.funai.app") != request.app_id:
                continue
            replaced.append((name, container.addresses[0] if container.addresses else ""))
        return tuple(replaced)

    def _check_room(self, settings: AppSettings) -> None:
        """Refuse more than the node has: the engine's own words for it help nobody.

        :raises InvalidRequestError: naming the limit
        """
        if settings.memory_mib is None and settings.cpus_milli is None:
            return
        memory_mib, cpus_milli = self._parts.containers.capacity()
        for name, wanted, there, unit in (
            ("memoryMib", settings.memory_mib, memory_mib, 1),
            ("cpus", settings.cpus_milli, cpus_milli, MILLI),
        ):
            if wanted is not None and wanted > there:
                msg = (
                    f"limits.{name} is {wanted / unit:g}, more than the {there / unit:g} that node"
                    f" {self._parts.node_name} has"
                )
                raise InvalidRequestError(msg, {"field": f"limits.{name}"})

    def _check_newest(self, app_id: str, fence: int | None, hold: Hold) -> None:
        hold.check()
        self._parts.apps.get(app_id).admit(fence)

    @contextmanager
    def _undone_on_failure(self, operation: Operation) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:
            reason = getattr(failure, "detail", None) or repr(failure)
            try:
                self.undo(operation, reason)
            except (AgentError, sqlite3.OperationalError) as error:
                # Left in the journal: reconcile goes on with it.
                _LOG.warning("undo of %s waits: %s", operation.container_name, error)
            raise
