"""Images: from a reference to something on this node that can be started."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from docker.errors import NotFound

from funai.runtime_agent.engine.pull import SILENCE_SECONDS, pull
from funai.runtime_agent.engine.references import Reference
from funai.runtime_agent.errors import (
    AgentError,
    DiskFullError,
    EngineUnavailableError,
    ImageNotFoundError,
    RegistryDeniedError,
    RegistrySilentError,
    RegistryUnavailableError,
    StaleFenceError,
    StoppingError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from funai.runtime_agent.engine.client import EngineClient

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_ATTEMPTS = 2
_OWN_TAG = "funai-kept-"
_OWN_TAG_CHARS = 12
# How the engine writes that something never was.
_NEVER = "0001-01-01T00:00:00Z"
_DENIED_SIGNS = ("unauthorized", "no basic auth", "denied", "forbidden")
_NOT_FOUND_SIGNS = ("manifest unknown", "not found", "name unknown")
# They say what they mean already.
_CLEAR = (DiskFullError, RegistrySilentError, StaleFenceError, StoppingError)


def _go_on() -> None:
    """Never give a pull up."""


@dataclass(frozen=True)
class Image:
    """An image on this node."""

    #: ``sha256:...`` of the registry's manifest; the image id where no registry knows it.
    digest: str
    image_id: str
    #: What a container is created from.
    start_reference: str
    #: Whether the agent fetched it, just now or before: its own tag tells.
    pulled: bool
    #: Why the registry was not asked in the end, empty where it was.
    note: str = ""

    @property
    def has_registry(self) -> bool:
        """Whether it can be fetched again."""
        return "@" in self.start_reference


class Images:
    """Brings images to this node, by digest.

    :param client: connection with the timeout that a registry may take to say what an image is
    :param registries_file: JSON ``{"host[:port]": {"username", "password"}}``; read for each use,
        so that a changed password needs no restart
    :param reserve_bytes: no pull with less free space than this on the engine's disk
    :param silence_seconds: between two signs of life of a pull
    """

    def __init__(
        self,
        client: EngineClient,
        registries_file: Path | None,
        reserve_bytes: int,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._silence_seconds = silence_seconds
        self._client = client
        self._registries_file = registries_file
        self._reserve_bytes = reserve_bytes

    def resolve(self, text: str, check: Callable[[], None] = _go_on) -> Image:
        """Return the image that a reference means now, pulled where the node lacks it.

        A registry that is down is no reason to refuse an image that is here: it is used, and the
        note says so.

        :param check: asked during a pull; raises where the image is wanted no more
        :raises ImageNotFoundError: where the registry has none
        :raises RegistryUnavailableError: where it does not answer and the image is not here
        :raises RegistryDeniedError: where it refuses the node's credentials
        """
        reference = Reference.parse(text)
        if reference.digest:
            digest = reference.digest
            return self._local(reference.by_digest) or self._pull(reference, digest, check)
        try:
            digest = self._ask_registry(reference)
        except RegistryUnavailableError as error:
            local = self._local(reference.by_tag, note=error.detail)
            if local is None:
                raise
            _LOG.warning("image %s is used as it is on this node: %s", text, error.detail)
            return local
        pinned = reference.at(digest)
        return self._local(pinned.by_digest) or self._pull(pinned, digest, check)

    def local(self, start_reference: str) -> bool:
        """Return whether the node has the image."""
        return self._local(start_reference) is not None

    def own(self) -> dict[str, str]:
        """Return the images that carry the agent's own tag: ids, and digests where there are any."""
        with self._client.request("list images") as engine:
            listed = engine.images()
        return {
            str(found["Id"]): next(iter(found.get("RepoDigests") or ()), "").partition("@")[2]
            for found in listed
            if _own_tags(found)
        }

    def tagged_at(self, reference: str) -> float | None:
        """Return when an image was last given a tag, in seconds since the epoch.

        None where it is gone, or where the engine does not know.
        """
        with self._client.request(f"inspect image {reference}") as engine:
            try:
                found = engine.inspect_image(reference)  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        told = (found.get("Metadata") or {}).get("LastTagTime") or _NEVER
        seconds = datetime.fromisoformat(told).timestamp()
        return seconds if seconds > 0 else None

    def size(self, reference: str) -> int | None:
        """Return the bytes of an image, layers that it shares included; None where it is gone."""
        with self._client.request(f"inspect image {reference}") as engine:
            try:
                found = engine.inspect_image(reference)  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        return int(found["Size"])

    def used(self, reference: str) -> bool:
        """Return whether a container, running or not, stands on the image."""
        with self._client.request(f"look for containers of {reference}") as engine:
            return bool(engine.containers(all=True, filters={"ancestor": reference}))

    def remove(self, reference: str) -> bool:
        """Remove an image that no container uses; return whether it is gone.

        It stays where somebody else gave it a name of their own.
        """
        if self.used(reference):
            _LOG.info("image %s kept: a container uses it", reference)
            return False
        try:
            with self._client.request(f"remove image {reference}") as engine:
                found = engine.inspect_image(reference)  # type: ignore[no-untyped-call]
                # The agent's own tag is a second one, with which the engine removes no image.
                for tag in _own_tags(found):
                    engine.remove_image(tag, force=False)
                engine.remove_image(reference, force=False)
        except NotFound:
            return True
        except EngineUnavailableError:
            raise
        except AgentError as error:
            _LOG.info("image kept: %s", error.detail)
            return False
        return True

    def disk(self) -> tuple[int, int]:
        """Return (free, total) bytes of the file system that holds the engine's data.

        What the file system keeps back for itself is in neither, as ``df`` counts its percentage:
        on some machines it is more than half of the disk, and no image could ever use it.
        """
        with self._client.request("read the engine's data folder") as engine:
            root = str(engine.info()["DockerRootDir"])
        while not os.path.exists(root):  # noqa: PTH110 - an engine elsewhere: its nearest parent
            root = os.path.dirname(root)  # noqa: PTH120
        figures = os.statvfs(root)
        used = figures.f_blocks - figures.f_bfree
        return figures.f_bavail * figures.f_frsize, (used + figures.f_bavail) * figures.f_frsize

    def _local(self, reference: str, note: str = "") -> Image | None:
        with self._client.request(f"inspect image {reference}") as engine:
            try:
                found = engine.inspect_image(reference)  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        image_id, pulled = str(found["Id"]), bool(_own_tags(found))
        name = Reference.parse(reference).name if not reference.startswith("sha256:") else ""
        for known in found.get("RepoDigests") or []:
            if known.startswith(f"{name}@"):
                digest = known.partition("@")[2]
                return Image(digest, image_id, known, pulled, note)
        return Image(image_id, image_id, image_id, pulled, note)

    def _ask_registry(self, reference: Reference) -> str:
        what = f"resolve {reference.by_tag}"

        def ask() -> str:
            with self._client.request(what) as engine:
                answer = engine.inspect_distribution(  # type: ignore[no-untyped-call]
                    reference.by_tag, auth_config=self._credentials(reference.registry)
                )
            return str(answer["Descriptor"]["digest"])

        return _persist(what, ask)

    def _pull(self, reference: Reference, digest: str, check: Callable[[], None]) -> Image:
        free, total = self.disk()
        if free < self._reserve_bytes:
            msg = (
                f"the node has {free >> 20} MiB free, {self._reserve_bytes >> 20} MiB are reserved"
            )
            raise DiskFullError(msg, {"diskFreeBytes": free, "diskTotalBytes": total})
        what = f"pull {reference.by_digest}"
        _persist(what, lambda: self._fetch(what, reference, digest, check))
        image = self._local(reference.by_digest)
        if image is None:
            msg = f"{reference.by_digest} is not on the node after its pull"
            raise ImageNotFoundError(msg)
        with self._client.request(f"tag {reference.by_digest}") as engine:
            # Safe from a prune of untagged images, also where its tag moves on to another image.
            engine.tag(image.image_id, reference.name, own_tag(digest))
            if reference.tag:
                # By this one it is found when the registry is down.
                engine.tag(image.image_id, reference.name, reference.tag)
        return Image(digest, image.image_id, image.start_reference, pulled=True)

    def _fetch(
        self, what: str, reference: Reference, digest: str, check: Callable[[], None]
    ) -> None:
        params = {"fromImage": reference.name, "tag": digest}
        credentials = self._credentials(reference.registry)
        with self._client.request(what) as engine:
            pull(engine, params, credentials, self._silence_seconds, check)

    def _credentials(self, registry: str) -> dict[str, str]:
        if self._registries_file is None or not self._registries_file.exists():
            return {}
        known: dict[str, Any] = json.loads(self._registries_file.read_text("utf-8"))
        entry = known.get(registry)
        if not isinstance(entry, dict):
            return {}
        return {"username": str(entry["username"]), "password": str(entry["password"])}


def own_tag(digest: str) -> str:
    """Return the tag by which the agent holds on to an image that it pulled by digest."""
    return f"{_OWN_TAG}{digest.partition(':')[2][:_OWN_TAG_CHARS]}"


def _own_tags(found: dict[str, Any]) -> list[str]:
    return [
        str(tag)
        for tag in found.get("RepoTags") or []
        if str(tag).rpartition(":")[2].startswith(_OWN_TAG)
    ]


def _persist(what: str, action: Callable[[], _T]) -> _T:
    """Do it, and again where the registry did not answer: a single lost packet is no outage."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return action()
        except (AgentError, NotFound) as exc:
            error = _registry_error(what, exc)
            is_lost = isinstance(error, RegistryUnavailableError)
            if attempt == _ATTEMPTS or not is_lost or isinstance(error, RegistrySilentError):
                raise error from exc
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _registry_error(what: str, exc: AgentError | NotFound) -> AgentError:
    """Return the error that the engine's words about a registry mean.

    The engine passes most registry failures on as a 500 with text; there is nothing else to read.
    """
    if isinstance(exc, NotFound):
        words = str(exc.explanation)
        return ImageNotFoundError(f"could not {what}: {words}", {"registry": words})
    if isinstance(exc, _CLEAR):
        return exc
    words = str(exc.evidence.get("engine") or exc.evidence.get("error") or exc.detail)
    if isinstance(exc, EngineUnavailableError) and "read timed out" not in words.lower():
        return exc
    lowered = words.lower()
    evidence = {"registry": words}
    meaning: type[AgentError] = RegistryUnavailableError
    if any(sign in lowered for sign in _DENIED_SIGNS):
        meaning = RegistryDeniedError
    elif any(sign in lowered for sign in _NOT_FOUND_SIGNS):
        meaning = ImageNotFoundError
    return meaning(f"could not {what}: {words}", evidence)
