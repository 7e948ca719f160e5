"""Keep the cache of layers within its bound: ``funai-builder prune`` and after each build."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from funai.builder import exported, folders, storage, uses
from funai.builder.buildah import BuildahError
from funai.builder.retention import Decision, Rules, decide, orphaned_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from funai.builder.buildah import Buildah
    from funai.builder.config import Settings

_DAY_SECONDS = 86400.0
_MOST_IMAGES = 1000
#: Part of the bound that layers without an image may take before storage is made anew.
_ORPHANS = 0.25


def shrink(settings: Settings, buildah: Buildah) -> None:
    """Prune where the cache is over its bound."""
    found = storage.read(settings.storage_dir)
    if found.total_bytes() > _most_bytes(settings) or len(found.images) > _MOST_IMAGES:
        for _ in prune(settings, buildah):
            pass


def prune(settings: Settings, buildah: Buildah, *, dry_run: bool = False) -> Iterator[Decision]:
    """Remove what is left of builds that died and what the cache no longer keeps; say so."""
    for build in folders.dead(settings):
        yield Decision("build", build, build, 0, "remove", "it ended without cleaning up")
        if not dry_run:
            folders.remove(settings, buildah, build)
    for retired in folders.retired_storages(settings):
        old = Decision("storage", retired.name, "", 0, "remove", "an earlier prune left it")
        yield old if dry_run else _remove_retired(buildah, retired, old)
    found = storage.read(settings.storage_dir)
    rules = Rules(
        most_bytes=_most_bytes(settings),
        most_images=_MOST_IMAGES,
        most_builds=settings.kept_builds,
        oldest_seconds=settings.cache_days * _DAY_SECONDS,
        now=storage.now(),
        busy_since=_oldest_build(settings),
    )
    decided_since = min(rules.busy_since, rules.now)
    for decision in decide(found, uses.read(settings), rules):
        problem = ""
        if not dry_run and decision.action == "remove":
            # Removals take their time, and a build may have begun to use the image meanwhile.
            is_used = uses.is_used_since(settings, decision.id, decided_since)
            problem = "a build has just used it" if is_used else _remove(buildah, decision)
        if problem:
            yield replace(decision, action="keep", why=problem)
        else:
            yield decision
    if not dry_run:
        left = storage.read(settings.storage_dir)
        uses.forget(settings, left)
        exported.forget(settings.blobs_dir, exported.base_digests(left))
    yield from _renew(settings, buildah, dry_run=dry_run)


def forget_since(settings: Settings, buildah: Buildah, since: float, build: str) -> None:
    """Remove the images that a build made before it reached a limit.

    Only where it ran alone: otherwise they may be another's, and are left to the cache's bound.
    """
    if folders.living(settings) != {build}:
        return
    folders.remove_containers(settings, buildah, build)
    found = storage.read(settings.storage_dir)
    new = [image for image in found.images if image.created_at >= since]
    for image in sorted(new, key=lambda each: -len(found.chain(each.layer))):
        with contextlib.suppress(BuildahError):
            buildah.remove_image(image.id)


def _remove(buildah: Buildah, decision: Decision) -> str:
    """Remove an image; return why that was not possible."""
    try:
        buildah.remove_image(decision.id)
    except BuildahError as exc:
        return f"could not be removed: {exc}"
    return ""


def _renew(settings: Settings, buildah: Buildah, *, dry_run: bool) -> Iterator[Decision]:
    """Begin with an empty storage where too much of it belongs to nothing.

    A build that is killed between writing a layer and naming it leaves one, and no command removes
    a single layer.
    """
    size = orphaned_bytes(storage.read(settings.storage_dir))
    if size <= settings.cache_bytes * _ORPHANS:
        return
    if folders.living(settings):
        yield Decision(
            "storage", "layers", "", size, "keep", "no image needs them, but a build runs"
        )
    elif dry_run:
        yield Decision("storage", "layers", "", size, "remove", "no image needs them")
    elif (retired := folders.retire_storage(settings)) is not None:
        decision = Decision("storage", "layers", "", size, "remove", "no image needs them")
        yield _remove_retired(buildah, retired, decision)


def _remove_retired(buildah: Buildah, retired: Path, decision: Decision) -> Decision:
    """Remove a storage that was moved aside; what that leaves, the next prune looks for."""
    folders.remove_tree(buildah, retired)
    if retired.exists():
        return replace(decision, action="keep", why=f"{retired.name} could not be removed")
    return decision


def _oldest_build(settings: Settings) -> float:
    """Return when the oldest build that runs began; infinity where none does."""
    begun = [math.inf]
    for build in folders.living(settings):
        with contextlib.suppress(OSError):
            begun.append((settings.builds_dir / build / "lock").stat().st_mtime)
    return min(begun)


def _most_bytes(settings: Settings) -> int:
    """Return the bytes that layers may have: the cache's bound without the kept blobs."""
    return settings.cache_bytes - exported.kept_bytes(settings.blobs_dir)
