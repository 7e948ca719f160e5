"""Use cases on apps: deploy, stop, delete, status."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.model import AppState
from funai.runtime_agent.apps.retention import prune_images
from funai.runtime_agent.errors import (
    AgentError,
    AppNotFoundError,
    InvalidRequestError,
    RouteFailedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from funai.runtime_agent.apps.adoption import Adoption
    from funai.runtime_agent.apps.deployment import Deployment
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.logs import AppLogs, LogStream
    from funai.runtime_agent.apps.model import App, DeployRequest, LogsRequest, Target, Warm
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.containers import Container

_LOG = logging.getLogger(__name__)
# A cancelled deploy gives up within one probe and one removal.
_CANCEL_WAIT_SECONDS = 20.0
_RECONCILE_WAIT_SECONDS = 15.0
# Deploy asks again; meanwhile it has other nodes to tell.
_CLOSE_WAIT_SECONDS = 5.0


class AppService:
    """What callers may ask of a node's apps.

    :param count_deploy: told each deploy's outcome: a reason code, or ``DEPLOYED``
    :param fence_required: refuse deploys without a fence
    """

    def __init__(
        self,
        parts: Parts,
        adoption: Adoption,
        deployment: Deployment,
        logs: AppLogs,
        count_deploy: Callable[[str], None],
        *,
        fence_required: bool,
    ) -> None:
        self._count_deploy = count_deploy
        self._parts = parts
        self._adoption = adoption
        self._deployment = deployment
        self._logs = logs
        self._fence_required = fence_required

    def deploy(self, request: DeployRequest) -> dict[str, Any]:
        """Make the app run the image, or answer again what a repeated request did.

        :raises StaleFenceError: where a newer claim was here
        :raises BusyError: where the same app is being deployed by a request that is not older
        :raises AgentError: what went wrong; the old container is untouched then
        """
        try:
            answer = self._deploy(request)
        except AgentError as error:
            self._count_deploy(error.reason)
            _LOG.warning(
                "deploy of %s with fence %s failed: %s: %s",
                request.app_id,
                request.fence,
                error.reason,
                error.detail,
            )
            raise
        self._count_deploy("DEPLOYED")
        return answer

    def _deploy(self, request: DeployRequest) -> dict[str, Any]:
        fence = request.fence
        if fence is None and self._fence_required:
            msg = "fence must be given"
            raise InvalidRequestError(msg, {"field": "fence", "rule": "given"})
        self._adoption.ensure(request.app_id)
        before = self._parts.apps.get(request.app_id)
        app = self._parts.apps.raise_fence(request.app_id, fence)
        newer = fence is not None and fence > before.max_fence
        with self._parts.holds.take(
            request.app_id,
            f"deploy of {request.image}",
            wait_seconds=_CANCEL_WAIT_SECONDS if newer else _RECONCILE_WAIT_SECONDS,
            cancel=newer,
            fence=fence,
        ) as hold:
            app = self._parts.apps.get(request.app_id)
            app.admit(fence)
            return app.replay(request) or self._deployment.run(request, hold)

    def close(self, target: Target) -> dict[str, Any]:
        """Carry out nothing older than the fence from now on; return what serves then.

        A deploy in progress with an older fence gives up first, and is undone.

        :raises InvalidRequestError: without a fence
        :raises StaleFenceError: where a newer claim was here
        :raises BusyError: where a deploy does not give up in time; what it did is not known then
        """
        if target.fence is None:
            msg = "fence must be given"
            raise InvalidRequestError(msg, {"field": "fence", "rule": "given"})
        self._raise_fence(target)
        with self._take(target, "close", _CLOSE_WAIT_SECONDS):
            app = self._parts.apps.get(target.app_id)
            app.admit(target.fence)
        _LOG.info("closed %s below fence %s", target.app_id, target.fence)
        return {
            "appId": target.app_id,
            "fence": target.fence,
            "state": app.state,
            "serving": _serving(app),
        }

    def stop(self, target: Target) -> dict[str, Any]:
        """Take the app's route and stop its containers; they are kept for the next deploy.

        :raises StaleFenceError: where a newer claim was here
        """
        self._raise_fence(target)
        with self._take(target, "stop"):
            warm = self._parts.apps.warm(target.app_id)
            app = self._decide(target, AppState.STOPPED)
            route = self._remove_route(target)
            stopped = [container.name for container in self._present(app, target)]
            for name in stopped:
                self._parts.containers.stop(name)
            if warm is not None:
                # A stopped app goes on with its next deploy, so there is nothing to be quick for.
                self._parts.containers.remove(warm.container_name)
        _LOG.info("stopped %s: %s", target.app_id, stopped)
        return {
            "appId": target.app_id,
            "status": "STOPPED",
            "exists": bool(stopped),
            "containers": stopped,
            "route": route,
        }

    def delete(self, target: Target) -> dict[str, Any]:
        """Remove the app's route, containers and images.

        :raises StaleFenceError: where a newer claim was here
        """
        self._raise_fence(target)
        with self._take(target, "delete"):
            app = self._decide(target, AppState.DELETED)
            route = self._remove_route(target)
            removed = [container.name for container in self._present(app, target)]
            for name in removed:
                self._parts.containers.stop(name)
                self._parts.containers.remove(name)
            images = prune_images(self._parts, target.app_id)
        _LOG.info("deleted %s: containers %s, images %s", target.app_id, removed, images)
        return {
            "appId": target.app_id,
            "status": "DELETED",
            "images": images,
            "containers": removed,
            "route": route,
        }

    def status(self, target: Target) -> dict[str, Any]:
        """Return what is there now, from the engine and the gateway, not from the record."""
        app = self._parts.apps.get(target.app_id)
        warm = self._parts.apps.warm(target.app_id)
        container = self._main_container(app, target)
        try:
            routed: bool | None = target.app_id in self._parts.gateway.live()
        except RouteFailedError:
            routed = None
        return {
            "appId": target.app_id,
            "containerName": container.name if container else app.container_name,
            "exists": container is not None,
            "running": bool(container and container.running and not container.restarting),
            "restarting": bool(container and container.restarting),
            "exitCode": container.exit_code if container and not container.running else None,
            "image": app.image or (container.image if container else ""),
            "imageDigest": app.image_digest,
            "port": app.port,
            "state": app.state,
            "fence": app.fence,
            "highestFence": app.max_fence,
            "routed": routed,
            "busy": self._parts.holds.busy(target.app_id),
            "release": app.release,
            "warm": _warm_answer(warm) if warm is not None else None,
        }

    def fences(self) -> dict[str, Any]:
        """Return the highest fence of every app that was ever here, and what serves."""
        return {
            "fences": [
                {
                    "appId": app.app_id,
                    "highestFence": app.max_fence,
                    "serving": _serving(app),
                }
                for app in self._parts.apps.all()
                if app.max_fence
            ]
        }

    def logs(self, request: LogsRequest) -> LogStream:
        """Return the log of the container that runs the app, or ran it last.

        :raises AppNotFoundError: where the node has no container of the app
        :raises TooManyFollowersError: where too many follow logs already
        """
        target = request.target
        app = self._parts.apps.get(target.app_id)
        container = self._main_container(app, target)
        if container is None:
            msg = (
                f"app {target.app_id} has no container on {self._parts.node_name}:"
                " deploy it first, or ask the node that it is on"
            )
            raise AppNotFoundError(msg)

        def superseded() -> str:
            now = self._parts.apps.get(target.app_id)
            moved = now.state is AppState.DEPLOYED and now.container_name != container.name
            return now.container_name if moved else ""

        return self._logs.read(container.name, request, superseded)

    def _raise_fence(self, target: Target) -> None:
        # A record that a request makes before its app was looked at would hide the app's containers.
        self._adoption.ensure(target.app_id)
        self._parts.apps.raise_fence(target.app_id, target.fence)

    def _take(
        self, target: Target, what: str, wait_seconds: float = _CANCEL_WAIT_SECONDS
    ) -> AbstractContextManager[Hold]:
        return self._parts.holds.take(
            target.app_id, what, wait_seconds=wait_seconds, cancel=True, fence=target.fence
        )

    def _decide(self, target: Target, state: AppState) -> App:
        """Record the new desired state first: what fails after it, reconcile finishes."""
        app = self._parts.apps.get(target.app_id)
        app.admit(target.fence)
        if app.state is AppState.DELETED and state is AppState.STOPPED:
            state = AppState.DELETED
        decided = replace(
            app, user_id=app.user_id or target.user_id, state=state, closed_fence=app.max_fence
        )
        self._parts.apps.decide(decided)
        return app

    def _remove_route(self, target: Target) -> str:
        try:
            self._parts.gateway.delete(target.app_id)
        except RouteFailedError as error:
            _LOG.warning("%s", error.detail)
            return f"leaves with the next reconcile: {error.detail}"
        return "removed"

    def _main_container(self, app: App, target: Target) -> Container | None:
        if app.container_name:
            own = self._parts.containers.find(app.container_name)
            if own is not None:
                return own
        return next(iter(self._present(app, target)), None)

    def _present(self, app: App, target: Target) -> list[Container]:
        """Return every container of the app: ours by label, an earlier agent's by exact name."""
        containers = self._parts.containers
        names = [*containers.of_app(app.app_id), *target.legacy_names]
        found = [containers.find(name) for name in dict.fromkeys(names)]
        return [
            container
            for container in found
            if container is not None
            and (not container.managed or container.labels.get("io.funai.app") == app.app_id)
        ]


def _serving(app: App) -> dict[str, Any] | None:
    if app.state is not AppState.DEPLOYED:
        return None
    return {"jobId": app.job_id, "fence": app.fence, "image": app.image, "release": app.release}


def _warm_answer(warm: Warm) -> dict[str, str]:
    until = datetime.fromtimestamp(warm.until, UTC).isoformat(timespec="seconds")
    return {
        "containerName": warm.container_name,
        "release": warm.release,
        "until": until.replace("+00:00", "Z"),
    }
