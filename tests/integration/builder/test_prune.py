"""How the builder keeps its cache in bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.builder import storage
from funai.builder.model import MIB
from tests.integration.builder.rig import NOTHING, Builder, dockerfile

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"BUILDER_CACHE_BYTES": str(30 * MIB)}


def layers(*numbers: int) -> str:
    """Return a Dockerfile with a layer of 10 MiB for each number."""
    return dockerfile(*(f"dd if=/dev/zero of=/f{n} bs=1M count=10" for n in numbers))


def size(builder: Builder) -> int:
    return storage.read(builder.state / "storage").total_bytes()


def test_dry_run_says_what_would_go_and_removes_nothing(builder: Builder) -> None:
    builder.build(layers(1, 2))
    builder.build(layers(3, 4))
    before = builder.images()

    said = builder.run("prune", "--dry-run", **SMALL)

    removed = [each for each in said if each["action"] == "remove"]
    assert {each["kind"] for each in said} == {"image"}
    assert len(removed) > 0
    assert all(set(each) == {"kind", "name", "bytes", "action", "why"} for each in said)
    assert builder.images() == before


def test_least_recently_used_layers_go_until_the_bound_is_met(builder: Builder) -> None:
    builder.build(layers(1, 2))
    builder.build(layers(3, 4))
    builder.build(layers(1, 2))
    assert size(builder) > 30 * MIB

    said = builder.run("prune", **SMALL)

    assert sum(each["bytes"] for each in said if each["action"] == "remove") >= 10 * MIB
    assert size(builder) <= 30 * MIB
    found = builder.build(layers(1, 2))
    assert len([line for line in found.lines if line.startswith("--> Using cache")]) == 3


def test_cache_is_brought_back_below_its_bound_after_a_build(folder: Path, user: str) -> None:
    builder = Builder(folder, user, BUILDER_CACHE_BYTES=str(15 * MIB))

    for number in range(4):
        assert builder.build(layers(number)).result.ok

    builder.stop()
    assert size(builder) <= 15 * MIB
    assert builder.left() == NOTHING


def test_only_the_newest_builds_of_an_app_keep_their_layers(builder: Builder) -> None:
    for number in range(4):
        assert builder.build(layers(number), tag=f"registry/shop:{number}").result.ok
    assert builder.build(layers(9), tag="registry/other:9").result.ok

    said = builder.run("prune", BUILDER_KEPT_BUILDS="2")

    gone = [each for each in said if each["action"] == "remove"]
    assert {each["why"] for each in gone} == {"registry/shop has 2 newer builds"}
    assert size(builder) < 45 * MIB
    for number in (2, 3, 9):
        found = builder.build(layers(number))
        assert "--> Using cache" in " ".join(found.lines), number


def test_layers_of_a_base_image_are_exported_once_and_go_with_it(builder: Builder) -> None:
    builder.build(layers(1))
    builder.name_images()

    first = builder.build(layers(1))
    again = builder.build(layers(1))

    kept = {path.name: path.stat().st_ino for path in (builder.state / "blobs").iterdir()}
    assert len(kept) == 2
    assert kept.items() <= first.blobs.items()
    assert kept.items() <= again.blobs.items()
    builder.run("prune", BUILDER_CACHE_BYTES="1")
    assert list((builder.state / "blobs").iterdir()) == []
