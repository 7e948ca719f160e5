"""Removes images that no app of the node wants any more."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.runtime_agent.apps.model import AppState, KeptImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from funai.runtime_agent.apps.parts import Parts

#: How long an image may have no record: its deploy writes one minutes after the pull at most.
_STRAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Verdict:
    """What becomes of an image, and why."""

    image: KeptImage
    #: Whether an app may still need it.
    wanted: bool
    why: str

    @property
    def removable(self) -> bool:
        """Whether the agent may remove it."""
        return self.image.pulled and not self.wanted

    @property
    def name(self) -> str:
        """The image as people know it."""
        return self.image.image_digest or self.image.image_id


def judge(
    images: Iterable[KeptImage],
    states: Mapping[str, AppState],
    used: Mapping[str, str],
    newest: int,
) -> list[Verdict]:
    """Return what becomes of each image. Pure.

    :param images: newest first
    :param states: of the apps, by id
    :param used: images that containers need, and why
    :param newest: how many distinct images of each app stay
    """
    images = tuple(images)
    wanted = dict(used)
    counts: dict[str, int] = {}
    for image in images:
        deployed = image.deployed_at > 0 and states.get(image.app_id) is not AppState.DELETED
        count = counts.get(image.app_id, 0)
        if deployed and count < newest:
            counts[image.app_id] = count + 1
            why = f"it is one of the newest {newest} of app {image.app_id}"
            wanted.setdefault(image.image_id, why)
    return [_verdict(image, wanted.get(image.image_id), newest) for image in images]


def _verdict(image: KeptImage, why: str | None, newest: int) -> Verdict:
    if why:
        return Verdict(image, wanted=True, why=why)
    if not image.pulled:
        return Verdict(image, wanted=False, why="this agent did not pull it")
    why = f"app {image.app_id} has {newest} newer ones" if image.deployed_at else "it never served"
    return Verdict(image, wanted=False, why=why)


def survey(parts: Parts, newest: int) -> list[Verdict]:
    """Return what becomes of each image that the record knows."""
    states = {app.app_id: app.state for app in parts.apps.all()}
    return judge(parts.apps.images(), states, parts.apps.images_in_use(), newest)


def strays(parts: Parts) -> list[Verdict]:
    """Return the images that the agent pulled, but that no record names any more.

    Their deploy came to nothing during the pull, or the state file was lost. One that a container
    of the record stands on is none; one with any other container stays when it is to be removed.
    """
    own = parts.images.own()
    known = {image.image_id for image in parts.apps.images()} | {*parts.apps.images_in_use()}
    return [
        Verdict(_stray(image_id, digest), wanted=False, why="no record names it")
        for image_id, digest in own.items()
        if image_id not in known and _is_old(parts.images.tagged_at(image_id))
    ]


def _stray(image_id: str, digest: str) -> KeptImage:
    return KeptImage("", image_id, digest, pulled=True, deployed_at=0)


def _is_old(tagged_at: float | None) -> bool:
    return tagged_at is not None and time.time() - tagged_at > _STRAY_SECONDS


def prune_images(parts: Parts, app_id: str) -> dict[str, list[str]]:
    """Remove the app's images but the newest; return what went and stayed.

    An image that the agent did not pull, or that a container still uses, is kept.
    """
    removed: list[str] = []
    kept: list[str] = []
    with parts.retention:
        for verdict in survey(parts, parts.kept_revisions):
            if verdict.image.app_id == app_id:
                gone = remove(parts, verdict)
                (removed if gone else kept).append(verdict.name)
    return {"removed": removed, "kept": kept}


def remove(parts: Parts, verdict: Verdict) -> bool:
    """Carry a verdict out, with ``parts.retention`` held; return whether the image is gone."""
    image = verdict.image
    if verdict.wanted:
        return False
    gone = verdict.removable and parts.images.remove(image.image_id)
    if gone or not image.pulled:
        parts.apps.forget_image(image.app_id, image.image_id)
    return gone
