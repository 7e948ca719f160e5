"""How much of the disk a build has taken, measured while it runs."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from funai.builder import folders, storage
from funai.builder.model import BUILD_DISK_FULL, MIB

if TYPE_CHECKING:
    from pathlib import Path

    from funai.builder.buildah import Buildah
    from funai.builder.config import Settings

_MEASURE_SECONDS = 5.0
#: Where much was written, by whomever, it is measured again this soon.
_SOON_SECONDS = 0.5
#: A measurement that takes long is repeated after this many times its duration.
_REST = 4
_FEWEST_INODES = 10_000


class DiskWatch:
    """Ends a build that takes more of the disk than it may, or all that is left of it.

    The free space of the file system is looked at each time, which costs nothing but does not say
    who took it. What the build itself has is added up by ``du`` in the builds' namespace.
    """

    def __init__(self, settings: Settings, buildah: Buildah, folder: Path, most_bytes: int) -> None:
        self._settings = settings
        self._buildah = buildah
        self._folder = folder
        self._most_bytes = most_bytes
        self._free_at_start = self._free_bytes()
        self._layers_at_start = storage.layer_folders(settings.storage_dir)
        self._measuring: subprocess.Popen[bytes] | None = None
        self._started_at = time.monotonic()
        self._next_at = self._started_at + _MEASURE_SECONDS

    @property
    def processes(self) -> list[subprocess.Popen[bytes]]:
        """The measurement that runs, if one does."""
        return [self._measuring] if self._measuring else []

    def verdict(self) -> tuple[str, str] | None:
        """Return the reason and the sentence with which the build must end; None: it may go on."""
        state = os.statvfs(self._settings.state_dir)
        free = state.f_bavail * state.f_frsize
        if free < self._settings.disk_reserve_bytes or 0 < state.f_favail < _FEWEST_INODES:
            left = f"{free // MIB} MiB and {state.f_favail} files"
            return BUILD_DISK_FULL, f"the builder's disk has only {left} left"
        taken = self._measured()
        if taken > self._most_bytes:
            return BUILD_DISK_FULL, (
                f"the build took {taken // MIB} MiB of disk, more than the"
                f" {self._most_bytes // MIB} MiB that it may"
            )
        now = time.monotonic()
        grown = self._free_at_start - free > self._most_bytes
        due = self._started_at + _SOON_SECONDS if grown else self._next_at
        if self._measuring is None and now >= due:
            self._measure(now)
        return None

    def _free_bytes(self) -> int:
        state = os.statvfs(self._settings.state_dir)
        return state.f_bavail * state.f_frsize

    def _measure(self, now: float) -> None:
        argv = self._buildah.usage_argv(self._own_paths())
        env = self._buildah.environment(self._folder)
        self._started_at = now
        try:
            self._measuring = subprocess.Popen(  # noqa: S603 - argv is made here, no shell
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            # As many processes as there may be: the free space is what is left to go by.
            self._next_at = now + _SOON_SECONDS

    def _measured(self) -> int:
        """Return the bytes of a measurement that has just ended; else 0."""
        process = self._measuring
        if process is None or process.poll() is None or process.stdout is None:
            return 0
        with process.stdout as output:
            words = output.read().split()
        self._measuring = None
        now = time.monotonic()
        lasted = now - self._started_at
        self._started_at = now
        self._next_at = now + max(_MEASURE_SECONDS, _REST * lasted)
        # The last line is the total; files that vanish meanwhile only make du complain.
        return int(words[-2]) if len(words) > 1 and words[-1] == b"total" else 0

    def _own_paths(self) -> list[Path]:
        """List what the build has made: its folders, its containers and the layers that are new.

        Beside another build nobody can say whose a new layer is; it then counts for neither.
        """
        settings, name = self._settings, self._folder.name
        containers = storage.read(settings.storage_dir).containers
        layers = {each.layer for each in containers if each.build == name}
        if folders.living(settings) <= {name}:
            others = {each.layer for each in containers if each.build != name}
            new = storage.layer_folders(settings.storage_dir) - self._layers_at_start
            layers |= new - others
        paths = [self._folder, settings.spool_dir / name]
        paths += [storage.layer_path(settings.storage_dir, layer) for layer in sorted(layers)]
        return [path for path in paths if path.exists()]
