"""An app's settings and how a change makes new ones of them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from funai.contract import app_settings as rules
from funai.contract.ids import FieldError
from funai.deploy.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Variable:
    """One variable of an app's environment."""

    name: str
    value: str = field(repr=False)
    #: Whether its value is never shown again.
    is_secret: bool
    #: When its value came, as ISO 8601 with ``Z``.
    updated_at: str


@dataclass(frozen=True)
class Shape:
    """What an app is given beside its environment; None: as the platform or the node has it."""

    container_port: int | None = None
    health_path: str | None = None
    memory_mib: int | None = None
    #: Thousandths of a CPU.
    cpus_milli: int | None = None


@dataclass(frozen=True)
class AppSettings:
    """All settings of an app. Version 0: none were ever made."""

    app_id: str
    version: int = 0
    shape: Shape = field(default_factory=Shape)
    variables: tuple[Variable, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Names and values, also those of secrets."""
        return {variable.name: variable.value for variable in self.variables}

    def with_change(self, change: Change, now: str) -> AppSettings:
        """Return the settings after a change; they are the same where it changes nothing.

        :param now: the database's time, as ISO 8601
        :raises ConflictError: where the change was made for another version
        :raises InvalidRequestError: naming the variable and the rule
        """
        if change.if_version is not None and change.if_version != self.version:
            msg = (
                f"the settings of app {self.app_id} are at version {self.version}, not"
                f" {change.if_version}; read them again and repeat the change"
            )
            raise ConflictError(msg)
        changed = replace(self, shape=replace(self.shape, **change.shape))
        if change.environment is not None:
            changed = replace(changed, variables=self._variables(change.environment, now))
        return self if changed == self else replace(changed, version=self.version + 1)

    def _variables(self, entries: tuple[Entry, ...], now: str) -> tuple[Variable, ...]:
        stored = {variable.name: variable for variable in self.variables}
        found = {entry.name: entry.after(stored.get(entry.name), now) for entry in entries}
        if len(found) != len(entries):
            twice = next(e.name for n, e in enumerate(entries) if e.name in _names(entries[:n]))
            msg = f"environment.{twice} is given twice; give it once"
            raise InvalidRequestError(msg)
        try:
            rules.check_size("environment", {name: v.value for name, v in found.items()})
        except FieldError as exc:
            raise InvalidRequestError(str(exc)) from exc
        return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True)
class Entry:
    """A variable as a change has it; what is None stays as it is."""

    name: str
    value: str | None = field(default=None, repr=False)
    is_secret: bool | None = None

    def after(self, stored: Variable | None, now: str) -> Variable:
        """Return the variable after the change. Whoever says nothing about it gets a secret.

        :raises InvalidRequestError: where a value is needed
        """
        if self.value is None:
            if stored is None:
                msg = f"environment.{self.name} must be given a value: none is stored"
                raise InvalidRequestError(msg)
            if stored.is_secret and self.is_secret is False:
                msg = (
                    f"environment.{self.name} is a secret and its value is never shown again;"
                    " give a value to make it readable"
                )
                raise InvalidRequestError(msg)
        is_secret = self.is_secret
        if is_secret is None:
            is_secret = stored is None or stored.is_secret
        if stored is not None and self.value in {None, stored.value}:
            return replace(stored, is_secret=is_secret)
        return Variable(self.name, self.value or "", is_secret, now)


@dataclass(frozen=True)
class Change:
    """What somebody wants of an app's settings; each value checked by its own rule."""

    #: Fields of :class:`Shape` and what replaces them; None takes a setting away.
    shape: Mapping[str, Any] = field(default_factory=dict)
    #: The whole environment; None: it stays.
    environment: tuple[Entry, ...] | None = None
    #: Refuse the change where the settings are at another version.
    if_version: int | None = None


def pack(app_id: str, variables: tuple[Variable, ...]) -> bytes:
    """Return the variables as bytes, with the app that they belong to."""
    rows = [[v.name, v.value, v.is_secret, v.updated_at] for v in variables]
    return json.dumps({"appId": app_id, "variables": rows}, separators=(",", ":")).encode()


def unpack(app_id: str, content: bytes) -> tuple[Variable, ...]:
    """Return the variables of an app.

    :raises ValueError: where they are another app's: somebody moved them in the database
    """
    found = json.loads(content)
    if found["appId"] != app_id:
        msg = f"the environment of app {app_id} was stored for another app"
        raise ValueError(msg)
    return tuple(Variable(*row) for row in found["variables"])


def with_defaults(payload: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Return a job's payload with the settings' port and health path, where it names none."""
    found = dict(payload)
    if shape.container_port is not None and payload.get("containerPort") is None:
        found["containerPort"] = shape.container_port
    if shape.health_path is not None and payload.get("healthPath") in {None, ""}:
        found["healthPath"] = shape.health_path
    return found


def _names(entries: tuple[Entry, ...]) -> set[str]:
    return {entry.name for entry in entries}
