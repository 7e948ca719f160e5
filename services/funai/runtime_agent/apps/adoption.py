"""Rebuilds the record of apps from the labels of running containers, where the record is lost."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from funai.contract.release import is_release
from funai.gateway.routes import InvalidRouteError, Route
from funai.runtime_agent.apps.answer import deployed
from funai.runtime_agent.apps.backoff import Backoff
from funai.runtime_agent.apps.given import settings_of_container
from funai.runtime_agent.apps.model import AFTER_SWITCH, BEFORE_SWITCH, App, AppState
from funai.runtime_agent.apps.trouble import Trouble
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.errors import RouteFailedError
from funai.runtime_agent.http_probe import get

if TYPE_CHECKING:
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.containers import Container

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 5.0
_PROBE_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_HOLD_SECONDS = 15.0


class Adoption:
    """Records apps that have a container of this node but no record, or an outdated one.

    Of several containers the one that the gateway routes to is the app's. One that no route leads
    to may be of a deploy that never came to its switch, so it has to answer first. The fence is
    never lower than any label says. Each app is looked at once in a process's life, before
    anything is done to it.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._done: set[str] = set()
        self._backoff = Backoff()
        self._is_over = False

    def run(self) -> None:
        """Look at every app.

        :raises AgentError: where an app is being deployed, or the engine tells nothing of its
            containers, after all others had their turn; ask again
        :raises EngineUnavailableError: at once, where the engine cannot be reached
        """
        trouble = Trouble()
        seen = self._parts.containers.seen().values()
        there = {container.app_id for container in seen if container.app_id}
        # Of an app without a container nothing can be learned: what is recorded of it stands.
        self._done |= self._recorded() - there
        for app_id in sorted(there):
            with trouble.kept(), self._backoff.after_silence(app_id):
                self.ensure(app_id, wait_seconds=0)
        trouble.raise_kept()
        self._is_over = True

    def _recorded(self) -> set[str]:
        apps = self._parts.apps
        open_ones = apps.open_operations([*BEFORE_SWITCH, *AFTER_SWITCH])
        return {app.app_id for app in apps.all()} | {found.app_id for found in open_ones}

    def is_done(self, app_id: str) -> bool:
        """Return whether the app's record says what its containers show."""
        return self._is_over or app_id in self._done

    def ensure(self, app_id: str, *, wait_seconds: float = _HOLD_SECONDS) -> None:
        """Look at the app, unless that was done.

        :param wait_seconds: for whoever looks at it, or heals it, now
        :raises BusyError: where it is held by another for longer
        :raises EngineUnavailableError: where the engine cannot be reached
        """
        if self.is_done(app_id):
            return
        # What a deploy just made must not be taken back.
        with self._parts.holds.take_briefly(app_id, wait_seconds):
            if app_id not in self._done:
                _adopt_one(self._parts, app_id)
                self._done.add(app_id)


def _adopt_one(parts: Parts, app_id: str) -> None:
    """Look at one app whose hold is taken, with everything read now."""
    apps = (_app_of_name(parts, name) for name in parts.containers.of_app(app_id))
    candidates = [app for app in apps if app is not None]
    if not candidates:
        return
    routes = _routes_of(parts, app_id)
    known = next((app for app in parts.apps.all() if app.app_id == app_id), None)
    if known is not None:
        _renew(parts, known, candidates, routes)
        return
    highest = max(candidate.fence for candidate in candidates)
    routed = _routed(candidates, routes)
    chosen = routed or _proven(parts, candidates)
    if chosen is None:
        _LOG.warning("no container of app %s is served or answers: none is adopted", app_id)
        parts.apps.save(App(app_id, max_fence=highest))
        return
    _LOG.warning("adopting %s as app %s from its labels", chosen.container_name, app_id)
    # One that runs without a route may be of a claim that has not come to its switch: its runner
    # may ask again, and is then told what happened, not what may have.
    is_used_up = routed is not None or chosen.state is not AppState.DEPLOYED
    closed = highest if is_used_up else highest - 1
    chosen = replace(chosen, answer=deployed(parts, chosen, {}))
    _keep_settings(parts, chosen)
    parts.apps.save(replace(chosen, max_fence=highest, closed_fence=closed))


def _routes_of(parts: Parts, app_id: str) -> list[str]:
    """Return where the map file leads, and where the gateway itself does as far as it can be asked.

    They differ while a switch, or its undo, has come to the one and not to the other.
    """
    routes = [parts.gateway.saved().get(app_id, "")]
    try:
        routes.append(parts.gateway.live().get(app_id, ""))
    except RouteFailedError as error:
        _LOG.warning("adopting %s by the map file alone: %s", app_id, error.detail)
    return routes


def _app_of_name(parts: Parts, name: str) -> App | None:
    container = parts.containers.find(name)
    return _app_of(container) if container is not None else None


def _proven(parts: Parts, candidates: list[App]) -> App | None:
    """Return the newest container that answers; else the newest of an app that may be stopped."""
    newest_first = sorted(candidates, key=lambda app: app.fence, reverse=True)
    running = (app for app in newest_first if app.state is AppState.DEPLOYED)
    stopped = (app for app in newest_first if app.state is AppState.STOPPED)
    return next((app for app in running if _answers(parts, app)), next(stopped, None))


def _answers(parts: Parts, app: App) -> bool:
    """Return whether the container answers, now or when it has had time to start with its host."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not get(f"http://{app.address}:{app.port}{app.health_path}", _PROBE_SECONDS).ready:
        if parts.stopping.wait(_PAUSE_SECONDS) or time.monotonic() > deadline:
            return False
    container = parts.containers.find(app.container_name)
    # Asked after the answer: it runs and has the address, so it was it.
    return container is not None and container.running and app.address in container.bound


def _routed(candidates: list[App], routes: list[str]) -> App | None:
    """Return the container that the first of the routes leads to, else that of the next one."""
    return next((found for route in routes if (found := _at_end_of(candidates, route))), None)


def _at_end_of(candidates: list[App], saved: str) -> App | None:
    """Return the container that a route leads to.

    A warm container that serves again still has the labels of its first deploy; its release now
    is the one of the route.
    """
    try:
        route = Route.parse(saved)
    except InvalidRouteError:
        return None
    found = [app for app in candidates if f"{app.address}:{app.port}" == route.address]
    if not found:
        return None
    chosen = max(found, key=lambda app: app.fence)
    return replace(chosen, release=route.release or chosen.release)


def _renew(parts: Parts, known: App, candidates: list[App], routes: list[str]) -> None:
    """Bring a record up to what the containers show, where it is an old copy.

    A fence is written down before anything is made with it. So a container with one that the
    record has not closed, and that no journal entry names, comes from after the record.
    """
    highest = max([known.max_fence, *(candidate.fence for candidate in candidates)])
    wanted = parts.apps.wanted()
    later = [
        candidate
        for candidate in candidates
        if candidate.fence > known.closed_fence and candidate.container_name not in wanted
    ]
    chosen = _routed(later, routes)
    if chosen is None and later and not _has(candidates, known):
        chosen = _proven(parts, later)
    if chosen is not None:
        _LOG.warning("record of app %s is old: %s serves it", known.app_id, chosen.container_name)
        chosen = replace(chosen, answer=deployed(parts, chosen, {}))
        _keep_settings(parts, chosen)
        parts.apps.decide(replace(chosen, max_fence=highest, closed_fence=chosen.fence))
    elif highest > known.max_fence:
        _LOG.warning("app %s: fence %d from labels, the record had less", known.app_id, highest)
        parts.apps.save(replace(known, max_fence=highest))


def _keep_settings(parts: Parts, app: App) -> None:
    """Keep what the app's container was given, so that it can be made again once it is gone.

    Before its record: an app that has one is not looked at again by an agent that is killed here.
    """
    container = parts.containers.find(app.container_name) if app.settings else None
    if container is not None:
        sealed = parts.vault.seal(settings_of_container(container))
        parts.apps.keep_settings(app.app_id, app.settings, sealed)


def _has(candidates: list[App], known: App) -> bool:
    """Return whether the container that the record means is there."""
    return known.container_name in {candidate.container_name for candidate in candidates}


def _release_of(container: Container) -> str:
    release = container.labels.get(labels.RELEASE, "")
    return release if is_release(release) else ""


def _app_of(container: Container) -> App | None:
    try:
        return App(
            app_id=container.labels[labels.APP],
            user_id=container.labels.get(labels.USER, ""),
            state=AppState.DEPLOYED if container.running else AppState.STOPPED,
            fence=int(container.labels[labels.FENCE]),
            job_id=container.labels.get(labels.JOB, ""),
            container_name=container.name,
            address=container.addresses[0],
            port=int(container.labels[labels.PORT]),
            image=container.labels.get(labels.IMAGE, container.image),
            image_digest=container.labels.get(labels.IMAGE_DIGEST, ""),
            image_id=container.image_id,
            release=_release_of(container),
            health_path=container.labels.get(labels.HEALTH) or "/",
            settings=container.labels.get(labels.SETTINGS, ""),
        )
    except (KeyError, ValueError, IndexError) as exc:
        _LOG.warning("container %s has no usable labels: %r", container.name, exc)
        return None
