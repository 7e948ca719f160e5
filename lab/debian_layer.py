"""Layers of images out of Debian's packages: unpacked, never installed, and made once."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from lab import layout
from lab.image import SUITE, mirror
from lab.process import LabError, follow, tail

if t.TYPE_CHECKING:
    from pathlib import Path

CACHE = layout.STATE / "images"
#: /bin, /lib and /sbin lead into /usr, as on every Debian that was installed.
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"


@dataclass(frozen=True)
class DebianLayer:
    """What a layer is made of."""

    name: str
    packages: tuple[str, ...]
    #: Paths and patterns below the root that an image needs none of.
    unused: tuple[str, ...]
    #: Commands after that, in a shell whose first argument is the root.
    hooks: tuple[str, ...] = ()
    merged_usr: bool = False

    def commands(self) -> list[str]:
        """Return what is run in the unpacked root, in this order."""
        remove = " ".join(f'"$1"/{pattern}' for pattern in self.unused)
        return [f"rm -rf {remove}", *self.hooks]

    def path(self) -> Path:
        """Return where the layer lies: its name tells what it was made from."""
        recipe = json.dumps([SUITE, self.packages, self.commands(), self.merged_usr])
        return CACHE / f"{self.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"


def ensure_built(layer: DebianLayer) -> Path:
    """Return the layer as a tar; a new one is made only where its recipe changed."""
    path = layer.path()
    if path.exists():
        return path
    layout.private_directory(CACHE)
    draft = path.with_name(f"{layer.name}-new.tar")
    draft.unlink(missing_ok=True)
    argv = ["mmdebstrap", "--variant=extract", f"--include={','.join(layer.packages)}"]
    if layer.merged_usr:
        argv += [f"--hook-dir={_MERGED_USR}", "--skip=output/dev"]
    # An extracted system is never configured, so the later hooks do not run.
    argv += [f"--extract-hook={command}" for command in layer.commands()]
    log = layout.LOGS / f"image_{layer.name}.log"
    if follow([*argv, SUITE, str(draft), *mirror()], log, env={"SOURCE_DATE_EPOCH": "0"}) != 0:
        raise LabError(tail(log.read_text(errors="replace"), 5), log=log)
    draft.rename(path)
    return path
