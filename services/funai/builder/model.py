"""What is asked of the builder and what it answers; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB: Final = 1024 * 1024

BUILD_FAILED: Final = "BUILD_FAILED"
BUILD_TIMEOUT: Final = "BUILD_TIMEOUT"
BUILD_DISK_FULL: Final = "BUILD_DISK_FULL"
BUILD_OUTPUT_TOO_LARGE: Final = "BUILD_OUTPUT_TOO_LARGE"
BUILD_OUT_OF_MEMORY: Final = "BUILD_OUT_OF_MEMORY"
BUILD_TOO_MANY_PROCESSES: Final = "BUILD_TOO_MANY_PROCESSES"
BASE_IMAGE_NOT_FOUND: Final = "BASE_IMAGE_NOT_FOUND"
DOCKERFILE_MISSING: Final = "DOCKERFILE_MISSING"
#: Everything that a build can end with beside success.
REASONS: Final = frozenset(
    {
        BUILD_FAILED,
        BUILD_TIMEOUT,
        BUILD_DISK_FULL,
        BUILD_OUTPUT_TOO_LARGE,
        BUILD_OUT_OF_MEMORY,
        BUILD_TOO_MANY_PROCESSES,
        BASE_IMAGE_NOT_FOUND,
        DOCKERFILE_MISSING,
    }
)

#: Reasons of builds that took more than they may: nothing of theirs is kept as a cache.
LIMITS: Final = REASONS - {BUILD_FAILED, BASE_IMAGE_NOT_FOUND, DOCKERFILE_MISSING}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})(?::[0-9]{1,5})?"
_REGISTRY = re.compile(_HOST)
_PREFIX = re.compile(rf"(?:{_HOST}(?:/[a-z0-9][a-z0-9._-]{{0,127}}){{0,8}})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_LONGEST_PATH = 512
_LONGEST_VALUE = 4096
_MOST_ENTRIES = 64


class RequestError(ValueError):
    """A field of a request breaks its rule; the text names both."""


@dataclass(frozen=True)
class BuildRequest:
    """One build, as the client asks for it; the context follows as a tar."""

    #: Name of the build in messages and in the names of its folders; the job's id.
    id: str
    #: Path of the Dockerfile inside the context.
    dockerfile: str = "Dockerfile"
    #: What the image is going to be called, ``repository:tag``; builds of one repository replace
    #: each other in the cache.
    tag: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Where names without a registry host come from: ``registry/namespace``. None: the builder's own.
    mirror_prefix: str | None = None
    #: Registries that base images may come from, within the builder's own list. None: all of it.
    base_registries: tuple[str, ...] | None = None
    no_cache: bool = False
    timeout_seconds: int = 600
    #: Bytes of output beyond which the build is ended.
    max_output_bytes: int = 16 * MIB
    #: Bytes that context, layers, temporary files and result may take together.
    max_disk_bytes: int = 4096 * MIB

    @property
    def repository(self) -> str:
        """What the image is going to be called, without its tag."""
        repository, _, tag = self.tag.rpartition(":")
        return self.tag if "/" in tag else repository

    def to_json(self) -> dict[str, Any]:
        """Return the request as it travels."""
        given = {
            "id": self.id,
            "dockerfile": self.dockerfile,
            "tag": self.tag,
            "buildArgs": dict(self.build_args),
            "labels": dict(self.labels),
            "mirrorPrefix": self.mirror_prefix,
            "baseRegistries": None if self.base_registries is None else list(self.base_registries),
            "noCache": self.no_cache,
            "timeoutSeconds": self.timeout_seconds,
            "maxOutputBytes": self.max_output_bytes,
            "maxDiskBytes": self.max_disk_bytes,
        }
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def parse(cls, found: object) -> BuildRequest:
        """Read a request that came over the socket; nothing in it is taken on trust.

        :raises RequestError: naming the field and its rule
        """
        if not isinstance(found, dict):
            msg = "the request must be an object"
            raise RequestError(msg)
        registries = found.get("baseRegistries")
        return cls(
            id=_matching(found, "id", _ID),
            dockerfile=inner_path("dockerfile", found.get("dockerfile", cls.dockerfile)),
            tag=_text(found, "tag"),
            build_args=_table(found, "buildArgs", _ARGUMENT),
            labels=_table(found, "labels", _LABEL),
            mirror_prefix=(
                _matching(found, "mirrorPrefix", _PREFIX) if "mirrorPrefix" in found else None
            ),
            base_registries=None if registries is None else _registries(registries),
            no_cache=found.get("noCache") is True,
            timeout_seconds=_number(found, "timeoutSeconds", cls.timeout_seconds),
            max_output_bytes=_number(found, "maxOutputBytes", cls.max_output_bytes),
            max_disk_bytes=_number(found, "maxDiskBytes", cls.max_disk_bytes),
        )


@dataclass(frozen=True)
class BuildResult:
    """How a build ended."""

    ok: bool
    image_id: str = ""
    #: Folder in OCI layout that holds the image under the name ``image``.
    spool: str = ""
    #: Names of the images that the Dockerfile began from.
    base_images: tuple[str, ...] = ()
    seconds: float = 0.0
    #: One of :data:`REASONS` and a sentence; both empty for a build that succeeded.
    reason: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result as it travels."""
        result: dict[str, Any] = {"ok": self.ok, "seconds": round(self.seconds, 3)}
        result["baseImages"] = list(self.base_images)
        if self.ok:
            return {**result, "imageId": self.image_id, "spool": self.spool}
        return {**result, "reason": self.reason, "message": self.message}

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> BuildResult:
        """Read a result that the builder sent."""
        return cls(
            ok=found.get("ok") is True,
            image_id=str(found.get("imageId", "")),
            spool=str(found.get("spool", "")),
            base_images=tuple(map(str, found.get("baseImages", ()))),
            seconds=float(found.get("seconds", 0)),
            reason=str(found.get("reason", "")),
            message=str(found.get("message", "")),
        )


def inner_path(name: str, value: object) -> str:
    """Return a relative path that stays inside the context.

    :raises RequestError: naming the field and its rule
    """
    text = value if isinstance(value, str) else ""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    bad = text.startswith("/") or ".." in parts or _CONTROL.search(text)
    if bad or not parts or len(text) > _LONGEST_PATH:
        msg = f"{name} must be a relative path of at most {_LONGEST_PATH} characters without .."
        raise RequestError(msg)
    return "/".join(parts)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST_PATH or _CONTROL.search(value):
        msg = f"{name} must be a printable text of at most {_LONGEST_PATH} characters"
        raise RequestError(msg)
    return value


def _matching(found: Mapping[str, Any], name: str, rule: re.Pattern[str]) -> str:
    value = found.get(name, "")
    if not isinstance(value, str) or not rule.fullmatch(value):
        msg = f"{name} must match {rule.pattern}"
        raise RequestError(msg)
    return value


def _table(found: Mapping[str, Any], name: str, rule: re.Pattern[str]) -> dict[str, str]:
    table = found.get(name, {})
    if not isinstance(table, dict) or len(table) > _MOST_ENTRIES:
        msg = f"{name} must be an object of at most {_MOST_ENTRIES} entries"
        raise RequestError(msg)
    for key, value in table.items():
        fits = isinstance(value, str) and len(value) <= _LONGEST_VALUE
        if not rule.fullmatch(key) or not fits or "\0" in value or "\n" in value:
            msg = f"{name} has an entry that is no name with a text of one line: {key[:64]!a}"
            raise RequestError(msg)
    return dict(table)


def _registries(value: object) -> tuple[str, ...]:
    hosts = value if isinstance(value, list) else [None]
    if len(hosts) > _MOST_ENTRIES:
        hosts = [None]
    if not all(isinstance(host, str) and _REGISTRY.fullmatch(host) for host in hosts):
        msg = "baseRegistries must be a list of hosts with or without a port"
        raise RequestError(msg)
    return tuple(hosts)


def _number(found: Mapping[str, Any], name: str, default: int) -> int:
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{name} must be a whole number above zero"
        raise RequestError(msg)
    return value
