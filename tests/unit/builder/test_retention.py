from __future__ import annotations

import math

import pytest

from funai.builder.retention import Decision, Rules, decide, last_uses, orphaned_bytes
from funai.builder.storage import Container, Image, Inventory, Layer
from funai.builder.uses import Use

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
    return Rules(most_bytes, most_images, 2, days * DAY, NOW, busy_since)


def removed(decisions: list[Decision]) -> list[tuple[str, int]]:
    return [(each.name, each.bytes) for each in decisions if each.action == "remove"]


def test_base_was_used_when_what_is_built_on_it_was() -> None:
    uses = last_uses(inventory(), {})

    assert uses["img-base"] == uses["img-new"] == NOW - DAY


def test_noted_use_counts_more_than_the_age() -> None:
    assert last_uses(inventory(), {"img-old": Use(NOW)})["img-old"] == NOW


def test_nothing_goes_within_the_bound() -> None:
    assert removed(decide(inventory(), {}, rules(most_bytes=200))) == []


def test_least_recently_used_goes_first_until_the_bound_is_met() -> None:
    found = decide(inventory(), {}, rules(most_bytes=170))

    assert removed(found) == [("img-old", 30)]


def test_use_decides_and_not_age() -> None:
    found = decide(inventory(), {"img-old": Use(NOW)}, rules(most_bytes=170))

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


def built(*containers: Container) -> tuple[Inventory, dict[str, Use]]:
    """Three builds of one app, each with a step of its own below its last one; one that failed."""
    layers = [Layer("base", "", 100), Layer("failed-step", "base", 5)]
    images = [
        Image("img-base", ("registry/base:1",), "base", NOW - DAY),
        Image("failed-step", (), "failed-step", NOW - 9),
    ]
    noted: dict[str, Use] = {}
    for number in range(1, 4):
        step, last = f"step-{number}", f"build-{number}"
        layers += [Layer(step, "base", 10), Layer(last, step, 1)]
        images += [Image(step, (), step, NOW - 10), Image(last, (), last, NOW - 10)]
        noted[last] = Use(NOW - 10 + number, frozenset({"registry/shop"}))
    return Inventory({each.id: each for each in layers}, images, list(containers)), noted


def test_layers_that_only_replaced_builds_need_go_and_say_so() -> None:
    found, noted = built()

    decisions = decide(found, noted, rules())

    assert removed(decisions) == [("step-1", 0), ("build-1", 11)] or removed(decisions) == [
        ("build-1", 1),
        ("step-1", 10),
    ]
    assert {each.why for each in decisions if each.action == "remove"} == {
        "registry/shop has 2 newer builds"
    }


def test_build_that_another_app_needs_is_not_replaced() -> None:
    found, noted = built()
    noted["build-1"] = Use(NOW - 9, frozenset({"registry/shop", "registry/other"}))

    assert removed(decide(found, noted, rules())) == []


def test_replaced_build_stays_while_a_build_uses_it() -> None:
    found, noted = built(Container("c", "build-1", "", "build"))

    assert "build-1" not in [name for name, _ in removed(decide(found, noted, rules()))]
