"""The folder of each build, and the lock that says whether the build still runs.

A build that was killed leaves its folder; whoever comes next can take the lock and removes what the
build has left: its containers, its temporary files, its result.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING

from funai.builder import storage
from funai.builder.buildah import BuildahError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from funai.builder.buildah import Buildah
    from funai.builder.config import Settings

#: Beside them lies ``storage-driver``.
_RETIRED = re.compile(r"storage-[0-9a-f]{8}")


def prepare(settings: Settings) -> None:
    """Make the folders that are missing; the role has made those with other owners."""
    closed = (settings.home_dir, settings.builds_dir, settings.used_dir, settings.storage_dir)
    for folder in (settings.run_dir, settings.blobs_dir, *closed):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.spool_dir.mkdir(mode=0o755, exist_ok=True)


@contextlib.contextmanager
def build_folder(settings: Settings, build_id: str) -> Iterator[Path]:
    """Make a folder for a build and hold its lock; what is in it is left to :func:`remove`."""
    folder = settings.builds_dir / f"{build_id}-{secrets.token_hex(4)}"
    with _locked(settings.state_dir / "builds.lock"):
        folder.mkdir(mode=0o700)
        lock = _open(folder / "lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        (folder / "tmp").mkdir()
        yield folder
    finally:
        os.close(lock)


def living(settings: Settings) -> set[str]:
    """Name the builds that run."""
    return {path.name for path in settings.builds_dir.iterdir()} - set(dead(settings))


def dead(settings: Settings) -> list[str]:
    """Name the builds that ended and left something."""
    with _locked(settings.state_dir / "builds.lock"):
        return sorted(path.name for path in settings.builds_dir.iterdir() if _is_free(path))


def remove(settings: Settings, buildah: Buildah, build: str) -> None:
    """Remove everything that a build has made for itself; its cached layers stay."""
    remove_containers(settings, buildah, build)
    for folder in (settings.spool_dir / build, settings.builds_dir / build):
        remove_tree(buildah, folder)


def remove_containers(settings: Settings, buildah: Buildah, build: str) -> None:
    """Remove the containers of a build, and nobody else's."""
    found = storage.read(settings.storage_dir).containers
    with contextlib.suppress(BuildahError):
        buildah.remove_containers([each.id for each in found if each.build == build])


def remove_tree(buildah: Buildah, folder: Path) -> None:
    """Remove a folder; by the way of the builds' namespace where their users own files in it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        with contextlib.suppress(BuildahError):
            buildah.remove_tree(folder)


def retire_storage(settings: Settings) -> Path | None:
    """Move storage aside, so that the next build begins a new one; None while a build runs."""
    with _locked(settings.state_dir / "builds.lock"):
        if not all(_is_free(path) for path in settings.builds_dir.iterdir()):
            return None
        retired = settings.state_dir / f"storage-{secrets.token_hex(4)}"
        settings.storage_dir.rename(retired)
        return retired


def retired_storages(settings: Settings) -> list[Path]:
    """List the storages that were moved aside and are not all gone."""
    found = settings.state_dir.iterdir()
    return sorted(path for path in found if _RETIRED.fullmatch(path.name) and path.is_dir())


def _is_free(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
