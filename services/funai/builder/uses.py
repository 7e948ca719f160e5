"""Remembers when images of the cache were used last, and which apps they were built for."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.builder.storage import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from funai.builder.config import Settings
    from funai.builder.storage import Inventory


@dataclass(frozen=True)
class Use:
    """What is remembered of an image."""

    #: Seconds since 1970.
    used_at: float
    #: Repositories of the images that it was built as; none for a step on the way.
    repositories: frozenset[str] = frozenset()


def note(settings: Settings, found: Inventory, images: Iterable[str]) -> None:
    """Remember that images were used now, where they exist."""
    existing = {image.id for image in found.images}
    for image in existing.intersection(images):
        path, at = settings.used_dir / image, now()
        path.touch()
        # The kernel's own stamp may lie milliseconds back, before a prune that has begun since.
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (at, at))


def note_build(settings: Settings, image: str, repository: str) -> None:
    """Remember that an image is what a build for a repository ended with.

    One that a prune has forgotten meanwhile is not made known again.
    """
    path = settings.used_dir / image
    with contextlib.suppress(FileNotFoundError), path.open("r+") as uses:
        if repository and repository not in uses.read().split():
            uses.write(f"{repository}\n")


def is_used_since(settings: Settings, image: str, since: float) -> bool:
    """Tell whether an image was used at that time or later."""
    try:
        return (settings.used_dir / image).stat().st_mtime >= since
    except FileNotFoundError:
        return False


def read(settings: Settings) -> dict[str, Use]:
    """Return what is remembered, by image."""
    return dict(_read(settings))


def forget(settings: Settings, left: Inventory) -> None:
    """Forget the images that are gone."""
    existing = {image.id for image in left.images}
    for name in set(read(settings)) - existing:
        (settings.used_dir / name).unlink(missing_ok=True)


def _read(settings: Settings) -> Iterator[tuple[str, Use]]:
    with contextlib.suppress(OSError), os.scandir(settings.used_dir) as entries:
        for entry in entries:
            with contextlib.suppress(OSError), open(entry.path) as uses:  # noqa: PTH123
                repositories = frozenset(uses.read().split())
                yield entry.name, Use(entry.stat().st_mtime, repositories)
