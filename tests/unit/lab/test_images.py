from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.demo import image_specs
from lab.image import recipe_tag
from lab.oci import ImageSpec, config_bytes, file_digest, write_layout

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ImageSpec("registry.test/demo:1", ("/usr/bin/python3", "/app.py"), 8080, {"RELEASE": "1"})


def test_every_blob_of_a_layout_is_named_by_its_content(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"layer")

    config = write_layout(tmp_path / "image", SPEC, [layer], "amd64")

    blobs = list((tmp_path / "image" / "blobs" / "sha256").iterdir())
    assert len(blobs) == 3
    assert all(file_digest(blob) == f"sha256:{blob.name}" for blob in blobs)
    index = json.loads((tmp_path / "image" / "index.json").read_text())
    manifest_name = index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads((tmp_path / "image" / "blobs" / "sha256" / manifest_name).read_text())
    assert manifest["config"]["digest"] == config


def test_same_inputs_give_the_same_image(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"layer")

    first = write_layout(tmp_path / "one", SPEC, [layer], "amd64")
    again = write_layout(tmp_path / "one", SPEC, [layer], "amd64")
    elsewhere = write_layout(tmp_path / "two", SPEC, [layer], "amd64")

    assert first == again == elsewhere


def test_releases_differ_in_their_configuration_only() -> None:
    configs = {
        spec.reference: config_bytes(spec, ["sha256:0"], "amd64") for _, spec in image_specs()
    }

    assert len(set(configs.values())) == len(configs)
    assert all(json.loads(config)["config"]["User"] == "65534:65534" for config in configs.values())


def test_image_tag_follows_the_recipe() -> None:
    assert recipe_tag({"/a": "1"}, []) == recipe_tag({"/a": "1"}, [])
    assert recipe_tag({"/a": "1"}, []) != recipe_tag({"/a": "2"}, [])
    assert recipe_tag({}, []) != recipe_tag({}, ["http://mirror.test/debian"])
