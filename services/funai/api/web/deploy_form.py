"""The Deploy form: what was typed, and the payload that it makes. Pure but for the language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funai.api.apps import model
from funai.api.errors import InvalidInputError
from funai.api.web.language import translate
from funai.contract import ids
from funai.contract.source_rules import health_path

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("image", "git", "archive")
#: Of each kind: the fields of its own, and those that it cannot do without.
_OWN = {
    "image": ("image",),
    "git": ("repoUrl", "commit", "dockerfilePath", "buildContext"),
    "archive": ("archiveUrl", "sha256", "dockerfilePath", "buildContext"),
}
_NEEDED = {"image": ("image",), "git": ("repoUrl",), "archive": ("archiveUrl", "sha256")}
_SHARED = ("containerPort", "healthPath")
FIELDS = (
    "kind",
    *dict.fromkeys(name for names in _OWN.values() for name in names),
    "buildArgs",
    *_SHARED,
)


@dataclass(frozen=True)
class DeployForm:
    """What the form shows."""

    typed: dict[str, str] = field(default_factory=dict)
    supersede: bool = False

    @classmethod
    def of_source(cls, source: Mapping[str, Any]) -> DeployForm:
        """Return the form as it was last sent."""
        kind = "image" if source.get("image") else "archive" if source.get("archiveUrl") else "git"
        typed = {
            name: str(source[name]) for name in FIELDS if name in source and name != "buildArgs"
        }
        lines = [f"{name}={value}" for name, value in (source.get("buildArgs") or {}).items()]
        empty = dict.fromkeys(FIELDS, "")
        return cls({**empty, **typed, "kind": kind, "buildArgs": "\n".join(lines)})

    @classmethod
    def sent(cls, form: Mapping[str, str]) -> DeployForm:
        """Return the form as it came."""
        typed = {name: form.get(name, "").strip() for name in FIELDS}
        if typed["kind"] not in KINDS:
            typed["kind"] = KINDS[0]
        return cls(typed, supersede="supersede" in form)

    def payload(self) -> dict[str, Any]:
        """Return what it asks for, checked.

        :raises InvalidInputError: naming the field
        """
        kind = self.typed["kind"]
        for needed in _NEEDED[kind]:
            if not self.typed[needed]:
                raise InvalidInputError(needed, translate("must be filled in"))
        found: dict[str, Any] = {n: self.typed[n] for n in _OWN[kind] if self.typed[n]}
        if kind == "archive":
            found["source"] = kind
        if kind != "image" and self.typed["buildArgs"]:
            found["buildArgs"] = read_pairs("buildArgs", self.typed["buildArgs"])
        return {**model.check_source(found), **self._shared()}

    def _shared(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        port, path = self.typed["containerPort"], self.typed["healthPath"]
        try:
            if port:
                found["containerPort"] = ids.container_port(port)
            if path:
                found["healthPath"] = health_path("healthPath", path)
        except ids.FieldError as exc:
            name, _, rule = str(exc).partition(" ")
            raise InvalidInputError(name, rule) from exc
        return found


def read_pairs(name: str, text: str) -> dict[str, str]:
    """Return lines of ``NAME=value``; empty lines and those that begin with ``#`` do not count.

    :raises InvalidInputError: naming the field and the line
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            rule = translate("line %(n)s must be NAME=value") % {"n": number}
            raise InvalidInputError(name, rule)
        found[key.strip()] = value
    return found
