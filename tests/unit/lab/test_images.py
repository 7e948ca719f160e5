from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lab import base_images, debian_layer, image_build, layout, registry
from lab.debian_layer import DebianLayer
from lab.demo import image_specs
from lab.image import recipe_tag
from lab.oci import BuiltImage, ImageSpec, config_bytes, file_digest, write_layout
from lab.process import LabError

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


def config_of(image: base_images.BaseImage) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(config_bytes(image.specs()[0], ["sha256:0"], "amd64"))
    return config["config"]  # type: ignore[no-any-return]


def test_layer_is_named_after_its_recipe() -> None:
    layer = DebianLayer("x", ("dash",), ("usr/share/doc",))

    assert layer.path() == DebianLayer("x", ("dash",), ("usr/share/doc",)).path()
    assert layer.path() != DebianLayer("x", ("dash", "sed"), ("usr/share/doc",)).path()
    assert layer.path() != DebianLayer("x", ("dash",), ("usr/share/doc",), ("true",)).path()


def test_layer_that_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_layer, "CACHE", tmp_path)
    monkeypatch.setattr(debian_layer, "follow", lambda *_, **__: pytest.fail("made again"))
    layer = DebianLayer("x", ("dash",), ())
    layer.path().write_bytes(b"layer")

    assert debian_layer.ensure_built(layer) == layer.path()


def test_layer_that_failed_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: list[str], log: Path, **_: Any) -> int:
        log.write_text("E: no such package")
        return 1

    monkeypatch.setattr(debian_layer, "CACHE", tmp_path)
    monkeypatch.setattr(layout, "LOGS", tmp_path)
    monkeypatch.setattr(debian_layer, "follow", fail)
    layer = DebianLayer("x", ("dash",), ())

    with pytest.raises(LabError, match="no such package"):
        debian_layer.ensure_built(layer)
    assert not layer.path().exists()


def test_files_layer_follows_names_and_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_build, "CACHE", tmp_path)
    source = tmp_path / "source"
    source.write_text("1")

    first = image_build.files_layer({"a": source})
    renamed = image_build.files_layer({"b": source})
    source.write_text("2")
    changed = image_build.files_layer({"a": source})

    assert len({first, renamed, changed}) == 3


def test_base_images_keep_their_names_below_the_prefix() -> None:
    names = [spec.reference for image in base_images.base_images() for spec in image.specs()]

    wanted = {"python:3.11", "node:18", "nginx:1.22"}
    assert {f"{registry.ADDRESS}/base/{name}" for name in wanted} <= set(names)
    assert len(set(names)) == len(names)


def test_base_images_let_dockerfiles_install_things_but_nginx_runs_as_nobody() -> None:
    users = {image.name: config_of(image)["User"] for image in base_images.base_images()}

    assert users == {"python": "", "node": "", "nginx": "65534:65534"}


def test_base_images_have_a_shell_and_its_tools() -> None:
    for image in base_images.base_images():
        assert {"dash", "coreutils", "sed", "tar"} <= set(image.layer.packages)
        assert "/usr/bin" in config_of(image)["Env"][1]


def test_files_of_base_images_exist() -> None:
    files = [path for image in base_images.base_images() for path in image.files.values()]

    assert files
    assert all(path.is_file() for path in files)


def test_shared_layers_are_pushed_once(tmp_path: Path) -> None:
    images = [
        BuiltImage(reference, tmp_path, "sha256:0", base)
        for reference, base in (("a:1", "x"), ("a:2", "x"), ("b:1", "y"), ("b:2", "y"))
    ]

    carriers, others = registry.waves(images)

    assert [image.reference for image in carriers] == ["a:1", "b:1"]
    assert [image.reference for image in others] == ["a:2", "b:2"]
