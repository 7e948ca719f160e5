"""Copies an image out of the builder's spool, which users' Dockerfiles may have written to.

What lies there is not trusted: a link in it would make this runner read its own secrets into an image.
Blobs are named by their hash and skopeo checks that, so that the content needs no look here.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from typing import TYPE_CHECKING

from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from pathlib import Path

_BLOB = re.compile(r"[0-9a-f]{64}")
_TOP = ("oci-layout", "index.json")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK a pipe in the place of a file would hold the runner up.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def copy_layout(spool: Path, target: Path, max_bytes: int) -> None:
    """Copy an OCI layout: its two files and its blobs, nothing else.

    :raises StepError: ``BUILD_FAILED`` where it is no plain OCI layout
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / "blobs" / "sha256").mkdir(parents=True, mode=0o700)
    room = max_bytes
    folder = _open(spool, None)
    try:
        for name in _TOP:
            room = _copy(folder, name, target / name, room)
        for part in ("blobs", "sha256"):
            inner = _open(part, folder)
            os.close(folder)
            folder = inner
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - a Path cannot list a descriptor
            if _BLOB.fullmatch(name):
                room = _copy(folder, name, target / "blobs" / "sha256" / name, room)
    finally:
        os.close(folder)


def _open(name: Path | str, folder: int | None, flags: int = _FOLDER) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as exc:
        raise _unusable(name, str(exc.strerror)) from exc


def _copy(folder: int, name: str, target: Path, room: int) -> int:
    """Copy one file and return what is left of the room."""
    descriptor = _open(name, folder, _FILE)
    with os.fdopen(descriptor, "rb"), target.open("xb") as out:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > room:
            raise _unusable(name, "not a file, or too large")
        left = status.st_size
        # No more than was seen: the builder may still be writing.
        while left and (sent := os.sendfile(out.fileno(), descriptor, None, left)):
            left -= sent
    return room - status.st_size


def _unusable(name: Path | str, what: str) -> StepError:
    sentence = (
        "The builder left something that is no image, so nothing was pushed. Deploy again; if that"
        " does not help, have the operators look after the builder."
    )
    return StepError(reason="BUILD_FAILED", sentence=sentence, evidence=f"{name}: {what}")
