"""Which way of putting layers together works on this host: tried once, then kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from funai.builder.buildah import BuildahError, environment, run, storage_flags

if TYPE_CHECKING:
    from funai.builder.config import Settings

#: The kernel's own overlay is quickest and copies nothing; vfs copies each layer whole.
_BY_PREFERENCE = ("overlay", "fuse-overlayfs", "vfs")


def choose(settings: Settings) -> str:
    """Return the storage driver, the first that works.

    A storage made with one driver cannot be read with another, so the choice is written down.

    :raises BuildahError: where none works
    """
    if settings.storage_driver != "auto":
        return settings.storage_driver
    note = settings.state_dir / "storage-driver"
    try:
        return note.read_text()
    except FileNotFoundError:
        driver = _first_that_works(settings)
    draft = note.with_suffix(".new")
    draft.write_text(driver)
    draft.replace(note)
    return driver


def _first_that_works(settings: Settings) -> str:
    problems = []
    for driver in _BY_PREFERENCE:
        trial = Path(tempfile.mkdtemp(prefix="trial-", dir=settings.state_dir))
        flags = storage_flags(trial / "storage", trial / "run", driver)
        try:
            run(["buildah", *flags, "info"], environment(settings))
        except BuildahError as exc:
            problems.append(f"{driver}: {exc}")
        else:
            return driver
        finally:
            shutil.rmtree(trial, ignore_errors=True)
    msg = "no storage driver works for the builder's user: " + "; ".join(problems)
    raise BuildahError(msg)
