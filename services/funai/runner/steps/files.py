"""The disk under a step: folders of its own, and what it means when it is full."""

from __future__ import annotations

import contextlib
import errno
import shutil
from typing import TYPE_CHECKING

from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def fresh_folder(path: Path) -> Iterator[None]:
    """Make a private folder, empty at the begin and gone at the end."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn errors of the runner's own disk into a reason.

    :raises StepError: ``RUNNER_DISK_FULL`` or ``RUNNER_BROKEN``
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            sentence = "The runner's disk is full. Have the operators free space there, then retry."
            raise StepError(reason="RUNNER_DISK_FULL", sentence=sentence) from exc
        sentence = (
            "The runner cannot work with its own files. It is the runner that needs a look, not the"
            " app."
        )
        raise StepError(reason="RUNNER_BROKEN", sentence=sentence, evidence=str(exc)) from exc
