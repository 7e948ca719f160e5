"""Put images together out of a layer of Debian's packages and a layer of our own files."""

from __future__ import annotations

import hashlib
import typing as t

from lab.debian_layer import CACHE
from lab.oci import BuiltImage, ImageSpec, write_layout
from lab.process import run
from lab.wheelhouse import write_tar

if t.TYPE_CHECKING:
    from pathlib import Path


def files_layer(members: dict[str, Path]) -> Path:
    """Return a layer that holds copies of files, by their paths in the image."""
    contents = {name: path.read_bytes() for name, path in members.items()}
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    path = CACHE / f"files-{digest.hexdigest()[:16]}.tar"
    if not path.exists():
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            write_tar(file, contents)
        draft.rename(path)
    return path


def build(spec: ImageSpec, layers: list[Path]) -> BuiltImage:
    """Write the image of ``spec``, its layers from the lowest up."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    folder = CACHE / spec.reference.rpartition("/")[2].replace(":", "-")
    digest = write_layout(folder, spec, layers, architecture)
    return BuiltImage(spec.reference, folder, digest, base=layers[0].name)
