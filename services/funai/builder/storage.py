"""Read what buildah's storage holds, from the files in which it keeps its books.

They are read without a lock: each is replaced as a whole (containers/storage, ioutils.AtomicFile).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from funai.builder.buildah import marked_build

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ID = re.compile(r"[0-9a-f]{64}")
#: Go writes up to nine digits of a second, Python reads six.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Layer:
    """One layer: what it adds to its parent."""

    id: str
    parent: str
    #: Bytes of its files as a tar.
    size: int
    #: Hash of that tar, ``sha256:...``; empty where storage does not know it.
    digest: str = ""


@dataclass(frozen=True)
class Image:
    """One image: a name tag or none, on top of a chain of layers."""

    id: str
    names: tuple[str, ...]
    #: The uppermost layer; empty for an image without files.
    layer: str
    created_at: float


@dataclass(frozen=True)
class Container:
    """What a build works in while a step runs."""

    id: str
    image: str
    layer: str
    #: Name of the build's folder; empty where no build of ours made it.
    build: str


@dataclass(frozen=True)
class Inventory:
    """Everything in a storage."""

    layers: dict[str, Layer]
    images: list[Image]
    containers: list[Container]

    def chain(self, layer: str) -> list[str]:
        """List a layer and those below it, the uppermost first."""
        found: list[str] = []
        while layer in self.layers and layer not in found:
            found.append(layer)
            layer = self.layers[layer].parent
        return found

    def layers_below(self, tops: Iterable[str]) -> set[str]:
        """Return the layers that any of these chains has."""
        return {layer for top in tops for layer in self.chain(top)}

    @property
    def base_tops(self) -> list[str]:
        """The uppermost layers of images with a name: those are base images, which many are built on."""
        return [image.layer for image in self.images if image.names]

    def total_bytes(self) -> int:
        """Return the bytes of all layers."""
        return sum(layer.size for layer in self.layers.values())


def read(storage: Path) -> Inventory:
    """Return what the storage holds; an empty one where there is none yet."""
    layers = [_layer(found) for found in _entries(storage, "layers")]
    return Inventory(
        layers={layer.id: layer for layer in layers},
        images=[_image(found) for found in _entries(storage, "images")],
        containers=[_container(storage, found) for found in _entries(storage, "containers")],
    )


def layer_folders(storage: Path) -> set[str]:
    """List the layers that lie on disk, in the books or not."""
    for driver in ("overlay", "vfs/dir"):
        try:
            return {path.name for path in (storage / driver).iterdir() if _ID.fullmatch(path.name)}
        except OSError:
            continue
    return set()


def layer_path(storage: Path, layer: str) -> Path:
    """Return where the files of a layer lie."""
    folder = storage / "overlay" / layer
    return folder if folder.exists() else storage / "vfs" / "dir" / layer


def is_image_id(text: str) -> bool:
    """Tell whether a text is the id of an image."""
    return _ID.fullmatch(text) is not None


def _entries(storage: Path, kind: str) -> list[dict[str, Any]]:
    for driver in ("overlay", "vfs"):
        try:
            text = (storage / f"{driver}-{kind}" / f"{kind}.json").read_text()
        except OSError:
            continue
        entries: list[dict[str, Any]] = json.loads(text) or []
        return entries
    return []


def _layer(found: dict[str, Any]) -> Layer:
    size = max(0, int(found.get("diff-size", 0)))
    return Layer(found["id"], found.get("parent", ""), size, found.get("diff-digest", ""))


def _image(found: dict[str, Any]) -> Image:
    names = tuple(found.get("names") or ())
    return Image(found["id"], names, found.get("layer", ""), _seconds(found.get("created", "")))


def _container(storage: Path, found: dict[str, Any]) -> Container:
    build = ""
    for driver in ("overlay", "vfs"):
        path = storage / f"{driver}-containers" / found["id"] / "userdata" / "buildah.json"
        try:
            build = marked_build(json.loads(path.read_text()))
        except (OSError, ValueError):
            continue
    return Container(found["id"], found.get("image", ""), found.get("layer", ""), build)


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        return 0.0
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return whole.timestamp() + float(found[2] or 0)


def now() -> float:
    """Return the time in seconds since 1970."""
    return datetime.now(UTC).timestamp()
