"""What a build takes from the cache is known while it runs."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, cast

from funai.builder.connection import Connection
from funai.builder.execution import Execution
from funai.builder.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from funai.builder.disk import DiskWatch

CACHED = "a" * 64


class Disk:
    """Has room, and no process of its own."""

    processes: tuple[Any, ...] = ()

    def verdict(self) -> None:
        """Say that nothing is wrong."""


def test_cached_images_are_named_before_the_build_has_ended(tmp_path: Path) -> None:
    noted, flag = [], tmp_path / "noted"

    def note(images: set[str]) -> None:
        noted.append(set(images))
        flag.touch()

    ours, theirs = socket.socketpair()
    with ours, theirs:
        execution = Execution(
            Connection(ours),
            Transcript(),
            cast("DiskWatch", Disk()),
            deadline=time.monotonic() + 20,
            output_bytes=100_000,
            on_cached=note,
        )
        # It ends once it was heard.
        script = f'echo "--> Using cache {CACHED}"; until [ -e {flag} ]; do sleep 0.05; done'
        execution.run(["/bin/sh", "-c", script], {"PATH": "/bin:/usr/bin"})

    assert noted == [{CACHED}]
