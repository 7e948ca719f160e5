"""The exported image: labels are written into it, and layers of base images are written once.

Labels as steps of the build would each be a commit, and none could be found in the cache again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from funai.builder.storage import Inventory

_ALGORITHM = "sha256"


def blobs_of(layout: Path) -> Path:
    """Return where an OCI layout has its blobs."""
    return layout / "blobs" / _ALGORITHM


def lend(blobs_dir: Path, layout: Path, digests: Iterable[str]) -> None:
    """Put what earlier exports left into a layout: skopeo writes no blob that is there."""
    target = blobs_of(layout)
    target.mkdir(mode=0o755, parents=True)
    for name in map(_hex, digests):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(blobs_dir / name, target / name)


def keep(blobs_dir: Path, layout: Path, digests: Iterable[str]) -> None:
    """Keep blobs of a layout for later exports; as links, they take no room twice."""
    for name in map(_hex, digests):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(blobs_of(layout) / name, blobs_dir / name)


def forget(blobs_dir: Path, digests: Iterable[str]) -> None:
    """Remove the kept blobs that are none of these."""
    kept = set(map(_hex, digests))
    for path in blobs_dir.iterdir():
        if path.name not in kept:
            path.unlink(missing_ok=True)


def kept_bytes(blobs_dir: Path) -> int:
    """Return the bytes of the kept blobs."""
    return sum(path.stat().st_size for path in blobs_dir.iterdir())


def base_digests(found: Inventory) -> set[str]:
    """Name the layers of base images by the hash that they have in an export."""
    return digests_of(found, found.base_tops)


def digests_of(found: Inventory, tops: Iterable[str]) -> set[str]:
    """Name the layers of chains by the hash that they have in an export."""
    below = found.layers_below(tops)
    return {digest for layer in below if (digest := found.layers[layer].digest)}


def set_labels(layout: Path, labels: Mapping[str, str]) -> str:
    """Give the only image of a layout these labels, which win over its own; return its id.

    :raises OSError, ValueError, KeyError: where it is no layout of one image
    """
    index = json.loads((layout / "index.json").read_text())
    (entry,) = index["manifests"]
    manifest = _take(layout, entry)
    config = _take(layout, manifest["config"])
    own = config.setdefault("config", {}).get("Labels") or {}
    config["config"]["Labels"] = {**own, **labels}
    _put(layout, manifest["config"], config)
    _put(layout, entry, manifest)
    (layout / "index.json").write_text(json.dumps(index))
    return _hex(manifest["config"]["digest"])


def _take(layout: Path, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """Read a document and remove it: it is written again under another name."""
    path = blobs_of(layout) / _hex(descriptor["digest"])
    found: dict[str, Any] = json.loads(path.read_bytes())
    path.unlink()
    return found


def _put(layout: Path, descriptor: dict[str, Any], document: Mapping[str, Any]) -> None:
    """Write a document and let what refers to it follow."""
    data = json.dumps(document).encode()
    name = hashlib.sha256(data).hexdigest()
    (blobs_of(layout) / name).write_bytes(data)
    descriptor.update(digest=f"{_ALGORITHM}:{name}", size=len(data))


def _hex(digest: str) -> str:
    return digest.removeprefix(f"{_ALGORITHM}:")
