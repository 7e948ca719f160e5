"""One deploy: start beside the old, wait, switch, and only then let the old one go.

Each step is in the journal before the next begins; ``recovery.py`` finishes or undoes what a
crash left (docs/decisions/0031-journal-of-the-agent.md).
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.launch import container_spec, wait_ready
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.errors import AgentError, EngineFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.runtime_agent.apps.drain import Drains
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.model import DeployRequest
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.images import Image
    from funai.runtime_agent.http_probe import Answer

_LOG = logging.getLogger(__name__)


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

    def as_answer(self) -> dict[str, int]:
        """Return the wire form."""
        return {f"{part}Ms": milliseconds for part, milliseconds in vars(self).items()}


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
        durations = Durations()
        with durations.measure("pull"):
            image = self._parts.images.resolve(request.image)
        self._check_newest(request.app_id, request.fence, hold)
        operation = self._prepare(request, image)
        with self._undone_on_failure(operation):
            with durations.measure("start"):
                self._parts.containers.create(container_spec(operation, image.start_reference))
            operation = self._parts.apps.advance(operation, Phase.STARTED)
            with durations.measure("ready"):
                direct = wait_ready(
                    self._parts.containers,
                    operation.container_name,
                    operation.route,
                    request.ready_seconds,
                    hold,
                )
            operation = self._parts.apps.advance(operation, Phase.HEALTHY)
            self._check_newest(request.app_id, request.fence, hold)
            with durations.measure("switch"):
                self._parts.gateway.set(operation.app_id, operation.route)
                self._parts.gateway.confirm(operation.app_id, direct, hold)
            answer = self._answer(operation)
            answer["durations"] = durations.as_answer()
            if image.note:
                answer["imageNote"] = f"the image on this node was used: {image.note}"
            operation = self._parts.apps.switch(operation, answer)
        _LOG.info("deployed %s as %s: %s", request.app_id, operation.container_name, answer)
        self._drains.begin(operation)
        return answer

    def finish(self, operation: Operation, direct: Answer, hold: Hold) -> None:
        """Switch to a container that was healthy when the agent went down.

        :param direct: what the container answers now
        :raises AgentError: the journal still says HEALTHY then
        """
        self._parts.gateway.set(operation.app_id, operation.route)
        self._parts.gateway.confirm(operation.app_id, direct, hold)
        operation = self._parts.apps.switch(operation, self._answer(operation))
        _LOG.info("finished the deploy of %s as %s", operation.app_id, operation.container_name)
        self._drains.begin(operation)

    def undo(self, operation: Operation, reason: str) -> None:
        """Remove what a failed deploy made and give the app its old route back."""
        parts = self._parts
        operation = parts.apps.advance(operation, Phase.UNDOING, reason)
        if parts.gateway.saved().get(operation.app_id) == operation.route:
            route = parts.apps.get(operation.app_id).route
            if route:
                parts.gateway.set(operation.app_id, route)
            else:
                parts.gateway.delete(operation.app_id)
        container = parts.containers.find(operation.container_name)
        if container is not None and container.managed:
            parts.containers.remove(operation.container_name)
        parts.apps.advance(operation, Phase.UNDONE, reason)
        _LOG.warning("deploy of %s undone: %s", operation.app_id, reason)

    def _prepare(self, request: DeployRequest, image: Image) -> Operation:
        containers = self._parts.containers
        app = self._parts.apps.get(request.app_id)
        taken = containers.ensure_network()
        fence = app.max_fence if request.fence is None else request.fence
        name = f"rt-{request.app_id}-{fence}"
        operation = Operation(
            id=0,
            app_id=request.app_id,
            user_id=request.user_id,
            job_id=request.job_id,
            fence=fence,
            phase=Phase.PREPARED,
            container_name=name,
            address="",
            port=request.port,
            image=request.image,
            image_digest=image.digest,
            image_id=image.image_id,
            replaced=self._present(request),
        )
        try:
            return self._parts.apps.prepare(
                operation,
                taken,
                pulled=image.pulled,
                number_name=containers.find(name) is not None,
            )
        except LookupError as exc:
            raise EngineFailedError(str(exc)) from exc

    def _present(self, request: DeployRequest) -> tuple[tuple[str, str], ...]:
        """Return (name, address) of the containers that the new one replaces."""
        containers = self._parts.containers
        draining = {
            name
            for operation in self._parts.apps.open_operations([Phase.SWITCHED])
            for name, _ in operation.replaced
        }
        replaced = []
        for name in [*containers.of_app(request.app_id), *request.legacy_names]:
            container = containers.find(name)
            if container is None or name in draining:
                continue
            # A legacy name may be another app's new one: app "app", fence 7 is "rt-app-7".
            if container.managed and container.labels.get("io.funai.app") != request.app_id:
                continue
            replaced.append((name, container.addresses[0] if container.addresses else ""))
        return tuple(replaced)

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
            except AgentError as error:
                # Left in the journal as UNDOING: reconcile goes on with it.
                _LOG.warning("undo of %s waits: %s", operation.container_name, error.detail)
            raise

    def _answer(self, operation: Operation) -> dict[str, Any]:
        return {
            "appId": operation.app_id,
            "containerName": operation.container_name,
            "status": "DEPLOYED",
            "previewUrl": f"{self._parts.gateway_base_url}/apps/{operation.app_id}/",
            "imageDigest": operation.image_digest,
            "fence": operation.fence,
            "node": self._parts.node_name,
            "durations": Durations().as_answer(),
        }
