"""Finds the settings with which an app's container is made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.errors import SettingsLostError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.model import App
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.engine.containers import Container


def settings_of(parts: Parts, app: App) -> AppSettings:
    """Return what the app was given when it was deployed.

    :raises SettingsLostError: where neither the record nor its container can tell
    """
    if not app.settings:
        return AppSettings()
    sealed = parts.apps.sealed_settings(app.app_id, app.settings)
    opened = parts.vault.open(sealed) if sealed else None
    if opened is not None:
        return opened
    container = parts.containers.find(app.container_name)
    if container is not None and container.labels.get(labels.SETTINGS) == app.settings:
        return settings_of_container(container)
    msg = (
        f"container {app.container_name} cannot be made again: the settings of app {app.app_id} on"
        " this node are lost; deploy the app again"
    )
    raise SettingsLostError(msg)


def settings_of_container(container: Container) -> AppSettings:
    """Return what a container was given, as the engine tells it."""
    return AppSettings.of_container(
        container.environment, container.memory_mib, container.cpus_milli
    )
