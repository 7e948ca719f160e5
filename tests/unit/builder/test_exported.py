"""What is done to an exported image, on layouts of a few bytes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from funai.builder import exported
from funai.builder.storage import Image, Inventory, Layer

if TYPE_CHECKING:
    from pathlib import Path

BASE, OWN = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def put(layout: Path, document: object) -> dict[str, Any]:
    data = json.dumps(document).encode()
    name = hashlib.sha256(data).hexdigest()
    exported.blobs_of(layout).mkdir(parents=True, exist_ok=True)
    (exported.blobs_of(layout) / name).write_bytes(data)
    return {"digest": f"sha256:{name}", "size": len(data)}


def layout_of(path: Path, config: dict[str, Any]) -> Path:
    manifest = put(path, {"config": put(path, config), "layers": []})
    (path / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return path


def read(layout: Path) -> dict[str, Any]:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(checked(layout, entry))
    found: dict[str, Any] = json.loads(checked(layout, manifest["config"]))
    return found


def checked(layout: Path, descriptor: dict[str, Any]) -> bytes:
    name = str(descriptor["digest"]).removeprefix("sha256:")
    data = (exported.blobs_of(layout) / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == name
    assert len(data) == descriptor["size"]
    return data


def inventory() -> Inventory:
    layers = [Layer("base", "", 1, BASE), Layer("own", "base", 1, OWN), Layer("unhashed", "", 1)]
    images = [
        Image("base", ("registry/base:1",), "base", 0),
        Image("app", (), "own", 0),
        Image("old", ("registry/old:1",), "unhashed", 0),
    ]
    return Inventory({each.id: each for each in layers}, images, [])


def test_labels_win_over_those_of_the_dockerfile_and_hashes_follow(tmp_path: Path) -> None:
    config = {"config": {"Labels": {"a": "theirs", "b": "theirs"}, "User": "1"}}
    layout = layout_of(tmp_path, config)

    image_id = exported.set_labels(layout, {"a": "ours"})

    assert read(layout) == {"config": {"Labels": {"a": "ours", "b": "theirs"}, "User": "1"}}
    assert image_id in {path.name for path in exported.blobs_of(layout).iterdir()}
    assert len(list(exported.blobs_of(layout).iterdir())) == 2


def test_image_without_labels_gets_them(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, {"config": {"Labels": None}})

    exported.set_labels(layout, {"a": "ours"})

    assert read(layout)["config"]["Labels"] == {"a": "ours"}


def test_only_layers_of_named_images_are_those_of_a_base() -> None:
    assert exported.base_digests(inventory()) == {BASE}
    assert exported.digests_of(inventory(), ["own"]) == {BASE, OWN}


def test_blobs_are_kept_lent_and_forgotten(tmp_path: Path) -> None:
    first, second, kept = tmp_path / "first", tmp_path / "second", tmp_path / "kept"
    kept.mkdir()
    exported.lend(kept, first, [BASE])
    (exported.blobs_of(first) / ("a" * 64)).write_bytes(b"base")

    exported.keep(kept, first, [BASE, OWN])
    exported.lend(kept, second, [BASE, OWN])

    assert [path.read_bytes() for path in exported.blobs_of(second).iterdir()] == [b"base"]
    assert exported.kept_bytes(kept) == 4
    exported.forget(kept, [OWN])
    assert list(kept.iterdir()) == []
    assert (exported.blobs_of(second) / ("a" * 64)).exists()
