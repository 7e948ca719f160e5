"""Compares what should be with what is, and acts on the difference.

Desired: the agent's state file. Actual: containers, the map file, the gateway's own map. Neither
Deploy nor its database takes part, so a node comes back from a reboot alone.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import TYPE_CHECKING

from funai.runtime_agent.apps.backoff import Backoff
from funai.runtime_agent.apps.given import settings_of
from funai.runtime_agent.apps.launch import container_spec
from funai.runtime_agent.apps.model import App, AppState
from funai.runtime_agent.apps.orphans import find_orphans, remove_orphan
from funai.runtime_agent.apps.trouble import Trouble
from funai.runtime_agent.apps.warm import expire
from funai.runtime_agent.engine.references import Reference
from funai.runtime_agent.errors import (
    AgentError,
    BusyError,
    EngineFailedError,
    EngineSilentError,
    EngineUnavailableError,
    RouteFailedError,
    StaleFenceError,
    StoppingError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from funai.runtime_agent.apps.adoption import Adoption
    from funai.runtime_agent.apps.app_settings import AppSettings
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.apps.recovery import Recovery
    from funai.runtime_agent.conditions import Conditions
    from funai.runtime_agent.engine.containers import Seen

_LOG = logging.getLogger(__name__)
_SETTLE_SECONDS = 0.5


class Reconciler:
    """Heals containers and routes."""

    def __init__(
        self, parts: Parts, adoption: Adoption, recovery: Recovery, conditions: Conditions
    ) -> None:
        self._parts = parts
        self._adoption = adoption
        self._recovery = recovery
        self._conditions = conditions
        #: Routes and containers of unknown apps are only removed once the engine said of all
        #: containers what they are.
        self._all_known = False
        #: Who has which address of the apps' network, and the apps whose address is another's.
        self._holders: dict[str, str] = {}
        self._usurped: set[str] = set()
        #: Apps by their id, orphans by their container's name.
        self._backoff = Backoff()
        self._orphan_backoff = Backoff()
        self._woken = threading.Event()

    def run_forever(self, interval_seconds: float) -> None:
        """Reconcile now, every interval, and at once and again when woken, until the process ends."""
        pause = interval_seconds
        while not self._parts.stopping.is_set():
            # Before the look: what happens during it asks for another one.
            self._woken.clear()
            self.run()
            is_woken = self._woken.wait(pause)
            # The engine tells of a container's end before its own list has it.
            pause = min(_SETTLE_SECONDS, interval_seconds) if is_woken else interval_seconds

    def wake(self) -> None:
        """Look now: something happened, or the process ends."""
        self._woken.set()

    def run(self) -> None:
        """Reconcile once. Expected failures are reported as conditions, never raised."""
        if self._try("engine", self._containers) & self._try("gateway", self._routes):
            self._conditions.report("state")

    def _try(self, name: str, step: Callable[[], None]) -> bool:
        """Take a step and report how it went; return whether the state file can be used.

        Whatever goes wrong, the next turn comes: a node whose reconcile ended would never heal.
        """
        try:
            step()
        except sqlite3.Error as error:
            self._conditions.report("state", f"the agent's state file cannot be used: {error}")
            return False
        except AgentError as error:
            self._conditions.report(name, _with_cause(error))
        except Exception as error:  # noqa: BLE001 - see above; it is logged and shown
            _LOG.exception("reconcile failed")
            self._conditions.report(name, f"reconcile failed: {error!r}")
        else:
            self._conditions.report(name)
        return True

    def _containers(self) -> None:
        self._holders = self._parts.containers.ensure_network()
        trouble = Trouble()
        with trouble.kept():
            self._adopt()
        self._recover(trouble)
        # One list for all apps: only what looks wrong in it is looked at closely.
        seen = self._parts.containers.seen()
        for app in filter(self._is_known, self._parts.apps.all()):
            if self._parts.stopping.is_set():
                return
            usurped = self._is_usurped(app)
            if usurped or not _looks_right(app, seen.get(app.container_name)):
                with trouble.kept():
                    self._heal_one(app)
            elif self._backoff.forget(app.app_id):
                self._well_again(app)
        if self._all_known:
            with trouble.kept():
                expire(self._parts, seen)
            self._remove_orphans(seen, trouble)
        trouble.raise_kept()

    def _adopt(self) -> None:
        if not self._all_known:
            self._adoption.run()
            self._all_known = True

    def _is_known(self, app: App) -> bool:
        return self._adoption.is_done(app.app_id)

    def _recover(self, trouble: Trouble) -> None:
        """Work through the journal; what it meets with must not keep apps from healing."""
        try:
            with trouble.kept():
                self._recovery.run(self._adoption.is_done)
        except EngineUnavailableError as error:
            # One request may have hung; the next one tells whether the engine is there.
            trouble.keep(error)

    def _remove_orphans(self, seen: Mapping[str, Seen], trouble: Trouble) -> None:
        with trouble.kept():
            for name in find_orphans(self._parts, seen):
                with trouble.kept(), self._orphan_backoff.after_silence(name):
                    remove_orphan(self._parts, name)

    def _is_usurped(self, app: App) -> bool:
        """Return whether another container has the app's address, and note it."""
        holder = self._holders.get(app.address, app.container_name)
        usurped = app.state is AppState.DEPLOYED and holder != app.container_name
        if usurped:
            self._usurped.add(app.app_id)
        else:
            self._usurped.discard(app.app_id)
        return usurped

    def _heal_one(self, app: App) -> None:
        if self._backoff.is_resting(app.app_id):
            return
        try:
            with self._parts.holds.take_briefly(app.app_id) as hold:
                self._heal(self._parts.apps.get(app.app_id), hold)
        except (BusyError, StaleFenceError, StoppingError):
            # Another works on it, or is about to.
            return
        except EngineSilentError as error:
            self._put_off(app, error)
        except EngineUnavailableError:
            raise
        except AgentError as error:
            self._put_off(app, error)

    def _put_off(self, app: App, error: AgentError) -> None:
        self._backoff.put_off(app.app_id, error)
        self._conditions.report(f"app {app.app_id}", error.detail)

    def _well_again(self, app: App) -> None:
        name = f"app {app.app_id}"
        self._conditions.report(name)
        self._conditions.forget(name)

    def _heal(self, app: App, hold: Hold) -> None:
        if app.state is AppState.STOPPED and app.container_name:
            self._stop(app)
        elif app.state is AppState.DEPLOYED and app.app_id in self._usurped:
            self._move(app, hold)
        elif app.state is AppState.DEPLOYED:
            self._bring_back(app, hold)

    def _stop(self, app: App) -> None:
        container = self._parts.containers.find(app.container_name)
        if container is not None and (container.running or container.restarting):
            _LOG.warning("app %s is stopped, stopping its container", app.app_id)
            self._parts.containers.stop(app.container_name)

    def _bring_back(self, app: App, hold: Hold) -> None:
        container = self._parts.containers.find(app.container_name)
        if container is None:
            _LOG.warning("container %s is gone, creating it again", app.container_name)
            self._create(app, settings_of(self._parts, app), hold)
        elif app.address not in container.addresses:
            _LOG.warning("container %s lost its address, creating it again", app.container_name)
            self._create_again(app, hold)
        elif not container.running and not container.restarting:
            _LOG.warning("container %s does not run, starting it", app.container_name)
            try:
                self._parts.containers.start(app.container_name)
            except EngineFailedError as error:
                # As when its network was made anew: the container can never start again.
                _LOG.warning("%s; creating it again", error.detail)
                self._create_again(app, hold)

    def _move(self, app: App, hold: Hold) -> None:
        """Take the route from an address that another container has, and the app to a free one."""
        holders = self._parts.containers.ensure_network()
        holder = holders.get(app.address, app.container_name)
        if holder != app.container_name:
            _LOG.warning("address %s of app %s is now %s's", app.address, app.app_id, holder)
            self._parts.gateway.delete(app.app_id)
            settings = settings_of(self._parts, app)
            self._parts.containers.remove(app.container_name)
            taken = {*holders, *self._parts.gateway.hosts()}
            app = self._parts.apps.move(app.app_id, taken)
            self._create(app, settings, hold)
        self._usurped.discard(app.app_id)

    def _create_again(self, app: App, hold: Hold) -> None:
        settings = settings_of(self._parts, app)
        self._parts.containers.remove(app.container_name)
        self._create(app, settings, hold)

    def _create(self, app: App, settings: AppSettings, hold: Hold) -> None:
        images = self._parts.images
        if images.local(app.image_id):
            start_reference = app.image_id
        else:
            start_reference = Reference.parse(app.image).at(app.image_digest).by_digest
            start_reference = images.resolve(start_reference, hold.check).start_reference
        self._parts.containers.create(container_spec(app, start_reference, settings))

    def _routes(self) -> None:
        desired = {app.app_id: self._desired(app) for app in self._parts.apps.all()}
        saved = self._parts.gateway.saved()
        unavailable: RouteFailedError | None = None
        try:
            live = self._parts.gateway.live()
        except RouteFailedError as error:
            # The file is put right all the same: a gateway that starts reads it.
            unavailable, live = error, saved
        for app_id in sorted({*desired, *saved, *live}):
            if saved.get(app_id) == live.get(app_id) == desired.get(app_id):
                continue
            if app_id in desired or self._all_known:
                unavailable = self._restore_route(app_id) or unavailable
        if unavailable:
            raise unavailable

    def _desired(self, app: App) -> str | None:
        return None if app.app_id in self._usurped else app.route

    def _restore_route(self, app_id: str) -> RouteFailedError | None:
        try:
            with self._parts.holds.take_briefly(app_id):
                route = self._desired(self._parts.apps.get(app_id))
                if route:
                    _LOG.warning("restoring the route of %s to %s", app_id, route)
                    self._parts.gateway.set(app_id, route)
                else:
                    _LOG.warning("removing the route of %s: no container of it is there", app_id)
                    self._parts.gateway.delete(app_id)
        except BusyError:
            return None
        except RouteFailedError as error:
            return error
        return None


def _looks_right(app: App, seen: Seen | None) -> bool:
    if app.state is AppState.DEPLOYED:
        return seen is not None and seen.alive and app.address in seen.addresses
    return seen is None or not seen.alive


def _with_cause(error: AgentError) -> str:
    cause = error.evidence.get("error")
    return f"{error.detail} ({cause})" if cause else error.detail
