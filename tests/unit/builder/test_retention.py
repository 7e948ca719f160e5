from __future__ import annotations

import math

import pytest

from funai.builder.retention import Decision, Rules, decide, last_uses, orphaned_bytes
from funai.builder.storage import Container, Image, Inventory, Layer

DAY = 86400.0
NOW = 100 * DAY


def inventory(*containers: Container) -> Inventory:
    """A base with two apps on it, of which one is older, and an image that stands alone."""
    layers = [
        Layer("base", "", 100),
        Layer("old", "base", 30),
        Layer("new", "base", 20),
        Layer("alone", "", 50),
    ]
    images = [
        Image("img-base", ("registry/base:1",), "base", NOW - 50 * DAY),
        Image("img-old", (), "old", NOW - 9 * DAY),
        Image("img-new", (), "new", NOW - 1 * DAY),
        Image("img-alone", (), "alone", NOW - 5 * DAY),
    ]
    return Inventory({layer.id: layer for layer in layers}, images, list(containers))


def rules(
    most_bytes: int = 1000,
    days: float = 30,
    busy_since: float = math.inf,
    most_images: int = 100,
) -> Rules:
    return Rules(most_bytes, most_images, days * DAY, NOW, busy_since)


def removed(decisions: list[Decision]) -> list[tuple[str, int]]:
    return [(each.name, each.bytes) for each in decisions if each.action == "remove"]


def test_base_was_used_when_what_is_built_on_it_was() -> None:
    uses = last_uses(inventory(), {})

    assert uses["img-base"] == uses["img-new"] == NOW - DAY


def test_noted_use_counts_more_than_the_age() -> None:
    assert last_uses(inventory(), {"img-old": NOW})["img-old"] == NOW


def test_nothing_goes_within_the_bound() -> None:
    assert removed(decide(inventory(), {}, rules(most_bytes=200))) == []


def test_least_recently_used_goes_first_until_the_bound_is_met() -> None:
    found = decide(inventory(), {}, rules(most_bytes=170))

    assert removed(found) == [("img-old", 30)]


def test_use_decides_and_not_age() -> None:
    found = decide(inventory(), {"img-old": NOW}, rules(most_bytes=170))

    assert removed(found) == [("img-alone", 50)]


def test_what_is_built_on_a_base_goes_before_it() -> None:
    found = decide(inventory(), {}, rules(most_bytes=1))

    assert removed(found) == [
        ("img-old", 30),
        ("img-alone", 50),
        ("img-new", 20),
        ("registry/base:1", 100),
    ]


def test_images_are_no_more_than_their_bound() -> None:
    found = decide(inventory(), {}, rules(most_images=3))

    assert removed(found) == [("img-old", 30)]


def test_unused_image_goes_by_its_days_also_within_the_bound() -> None:
    assert removed(decide(inventory(), {}, rules(days=7))) == [("img-old", 30)]


@pytest.mark.parametrize(
    ("found", "busy_since"),
    [
        pytest.param(inventory(Container("c", "img-old", "", "build")), math.inf, id="container"),
        pytest.param(inventory(), NOW - 10 * DAY, id="since-a-build-began"),
    ],
)
def test_what_a_build_uses_stays_whatever_the_bound(found: Inventory, busy_since: float) -> None:
    decisions = decide(found, {}, rules(most_bytes=1, busy_since=busy_since))

    assert "img-old" not in [name for name, _ in removed(decisions)]


def test_every_image_is_decided_about_with_a_reason() -> None:
    decisions = decide(inventory(), {}, rules(most_bytes=170))

    assert len(decisions) == 4
    assert all(each.why for each in decisions)
    assert decisions[0].to_json() == {
        "kind": "image",
        "name": "img-old",
        "bytes": 30,
        "action": "remove",
        "why": "the cache is 30 bytes over its bound; last used 9.0 days ago",
    }


def test_layers_without_an_image_are_counted() -> None:
    found = inventory()
    found.layers["lost"] = Layer("lost", "base", 7)

    assert orphaned_bytes(found) == 7
