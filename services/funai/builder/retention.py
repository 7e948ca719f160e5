"""Decide which images of the cache stay; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.builder.storage import Image, Inventory
    from funai.builder.uses import Use

_DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Decision:
    """What happens to one thing, and why."""

    kind: str
    name: str
    #: What it is removed by.
    id: str
    #: Bytes that its removal sets free, or would.
    bytes: int
    action: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the decision as it is printed."""
        return {
            "kind": self.kind,
            "name": self.name,
            "bytes": self.bytes,
            "action": self.action,
            "why": self.why,
        }


@dataclass(frozen=True)
class Rules:
    """What the cache may hold."""

    most_bytes: int
    #: For each step buildah looks through all of them.
    most_images: int
    #: Builds of each repository whose own layers stay.
    most_builds: int
    oldest_seconds: float
    now: float
    #: Images used since then belong to builds that run; 0 would spare all, infinity none.
    busy_since: float


def last_uses(found: Inventory, noted: Mapping[str, Use]) -> dict[str, float]:
    """Return when each image was last used, itself or by an image that is built on it."""
    by_layer: dict[str, float] = {}
    own = {image.id: image.created_at for image in found.images}
    own |= {name: max(own[name], use.used_at) for name, use in noted.items() if name in own}
    for image in found.images:
        for layer in found.chain(image.layer):
            by_layer[layer] = max(by_layer.get(layer, 0.0), own[image.id])
    return {image.id: max(own[image.id], by_layer.get(image.layer, 0.0)) for image in found.images}


def superseded(found: Inventory, noted: Mapping[str, Use], most_builds: int) -> dict[str, str]:
    """Return the images that only older builds of an app need, with what replaced them.

    What a build that failed has left is none of them: its app's next build begins there.
    """
    builds: dict[str, list[str]] = {}
    for image in sorted(noted, key=lambda each: -noted[each].used_at):
        for repository in noted[image].repositories:
            builds.setdefault(repository, []).append(image)
    kept = {image for images in builds.values() for image in images[:most_builds]}
    tops = {image.id: image.layer for image in found.images}
    needed = found.layers_below([*(tops.get(image, "") for image in kept), *found.base_tops])
    replaced: dict[str, str] = {}
    only: dict[str, str] = {}
    for repository, images in builds.items():
        why = f"{repository} has {most_builds} newer builds"
        for image in set(images[most_builds:]) - kept:
            replaced[image] = why
            only |= dict.fromkeys(found.layers_below([tops.get(image, "")]) - needed, why)
    steps = {each.id: only[each.layer] for each in found.images if each.layer in only}
    return steps | {image: why for image, why in replaced.items() if image in tops}


def decide(found: Inventory, noted: Mapping[str, Use], rules: Rules) -> list[Decision]:
    """Decide about all images, in the order in which those that go must be removed.

    Least recently used first; among those used together, what is built on others before these.
    """
    used = last_uses(found, noted)
    replaced = superseded(found, noted, rules.most_builds)
    references = _references(found)
    total = found.total_bytes()
    count = len(found.images)
    order = sorted(found.images, key=lambda each: (used[each.id], -len(found.chain(each.layer))))
    decisions = []
    for image in order:
        alone = [layer for layer in found.chain(image.layer) if references[layer] == {image.id}]
        size = sum(found.layers[layer].size for layer in alone)
        why = _busy(found, image, used[image.id], rules)
        action = "keep"
        if not why and image.id in replaced:
            action, why = "remove", replaced[image.id]
        elif not why:
            action, why = _fate(used[image.id], (total, count), rules)
        if action == "remove":
            total -= size
            count -= 1
            for layer in found.chain(image.layer):
                references[layer].discard(image.id)
        name = image.names[0] if image.names else image.id
        decisions.append(Decision("image", name, image.id, size, action, why))
    return decisions


def _references(found: Inventory) -> dict[str, set[str]]:
    """Return who needs each layer."""
    references: dict[str, set[str]] = {layer: set() for layer in found.layers}
    users = {each.id: each.layer for each in found.images}
    users |= {each.id: each.layer for each in found.containers}
    for user, top in users.items():
        for layer in found.chain(top):
            references[layer].add(user)
    return references


def _busy(found: Inventory, image: Image, used_at: float, rules: Rules) -> str:
    """Say why an image must stay whatever the cache holds; empty where nothing holds it."""
    if any(container.image == image.id for container in found.containers):
        return "a build uses it"
    return "a build that runs may use it" if used_at >= rules.busy_since else ""


def _fate(used_at: float, held: tuple[int, int], rules: Rules) -> tuple[str, str]:
    total, count = held
    days = (rules.now - used_at) / _DAY_SECONDS
    if rules.now - used_at > rules.oldest_seconds:
        return "remove", f"not used for {days:.0f} days"
    over = []
    if total > rules.most_bytes:
        over.append(f"{total - rules.most_bytes} bytes")
    if count > rules.most_images:
        over.append(f"{count - rules.most_images} images")
    if over:
        text = " and ".join(over)
        return "remove", f"the cache is {text} over its bound; last used {days:.1f} days ago"
    return "keep", f"the cache is within its bound; last used {days:.1f} days ago"


def orphaned_bytes(found: Inventory) -> int:
    """Return the bytes of layers that no image and no container needs."""
    references = _references(found)
    return sum(found.layers[layer].size for layer, users in references.items() if not users)
