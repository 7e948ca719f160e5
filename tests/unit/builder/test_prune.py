"""What a prune does about storages that an earlier one moved aside."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from funai.builder import folders, storage, uses
from funai.builder.buildah import BuildahError
from funai.builder.config import Settings
from funai.builder.prune import prune

if TYPE_CHECKING:
    from pathlib import Path

_remove_tree = shutil.rmtree


class Buildah:
    """Removes what another user's files lie in, within its time or not."""

    def __init__(self, *, too_slow: bool = False) -> None:
        self._too_slow = too_slow

    def remove_tree(self, path: Path) -> None:
        if self._too_slow:
            msg = "buildah did not run: timed out after 120 seconds"
            raise BuildahError(msg)
        _remove_tree(path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state_dir=tmp_path / "state", run_dir=tmp_path / "run")
    folders.prepare(made)
    (made.state_dir / "storage-driver").write_text("overlay")
    return made


@pytest.fixture
def retired(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage that a prune moved aside before it was killed; its files are other users'."""
    moved = folders.retire_storage(settings)
    assert moved is not None
    (moved / "overlay" / "layer").mkdir(parents=True)
    folders.prepare(settings)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    return moved


def pruned(settings: Settings, buildah: Any, *, dry_run: bool = False) -> list[tuple[str, str]]:
    return [(each.name, each.action) for each in prune(settings, buildah, dry_run=dry_run)]


def test_storage_that_an_earlier_prune_moved_aside_goes(settings: Settings, retired: Path) -> None:
    assert pruned(settings, Buildah(), dry_run=True) == [(retired.name, "remove")]
    assert retired.exists()

    assert pruned(settings, Buildah()) == [(retired.name, "remove")]
    assert {path.name for path in settings.state_dir.glob("storage*")} == {
        "storage",
        "storage-driver",
    }


def test_storage_that_cannot_be_removed_in_time_is_tried_again(
    settings: Settings, retired: Path
) -> None:
    assert pruned(settings, Buildah(too_slow=True)) == [(retired.name, "keep")]

    assert pruned(settings, Buildah()) == [(retired.name, "remove")]
    assert not retired.exists()


def keep_books(settings: Settings, *names: str) -> list[str]:
    """Have a storage hold images without layers, made long ago; return their ids."""
    ids = [name * 64 for name in names]
    entries = [{"id": each, "created": "2020-01-01T00:00:00Z"} for each in ids]
    books = settings.storage_dir / "overlay-images"
    books.mkdir()
    (books / "images.json").write_text(json.dumps(entries))
    return ids


class Removing(Buildah):
    """Removes images; with the first one a build begins to use the others."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.removed: list[str] = []

    def remove_image(self, image: str) -> None:
        self.removed.append(image)
        found = storage.read(self._settings.storage_dir)
        uses.note(self._settings, found, {each.id for each in found.images})


def test_image_that_a_build_began_to_use_since_the_decision_stays(settings: Settings) -> None:
    ids = keep_books(settings, "a", "b")
    buildah = Removing(settings)

    done = pruned(settings, buildah)

    assert len(buildah.removed) == 1
    kept = (set(ids) - set(buildah.removed)).pop()
    assert dict(done)[kept] == "keep"


def test_image_that_was_removed_meanwhile_is_no_reason_to_break_off(settings: Settings) -> None:
    (image,) = keep_books(settings, "a")

    uses.note_build(settings, image, "registry/shop")
    unknown = uses.read(settings)
    uses.note(settings, storage.read(settings.storage_dir), {image})
    for _ in range(2):
        uses.note_build(settings, image, "registry/shop")
    uses.note_build(settings, image, "registry/other")

    assert unknown == {}
    assert (settings.used_dir / image).read_text().split() == ["registry/shop", "registry/other"]
