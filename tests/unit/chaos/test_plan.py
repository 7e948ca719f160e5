"""A seed is a plan."""

from __future__ import annotations

from tests.chaos import images
from tests.chaos.faults import KINDS, doses
from tests.chaos.plan import WORDS, make_plan


def test_same_seed_gives_the_same_plan() -> None:
    assert make_plan(7, 500, 40, doses()) == make_plan(7, 500, 40, doses())


def test_another_seed_gives_another_plan() -> None:
    assert make_plan(7, 500, 40, doses()).requests != make_plan(8, 500, 40, doses()).requests


def test_every_kind_is_in_the_plan_of_the_smoke_tier() -> None:
    plan = make_plan(1, 500, 40, doses())

    planned = {injection.kind for injection in plan.injections}
    words = {request.word for request in plan.requests}
    assert all(kind.code in planned or kind.word in words for kind in KINDS)


def test_full_tier_plans_a_thousand_faults_of_24_kinds() -> None:
    plan = make_plan(1, 10_000, 60, doses())

    assert len(plan.injections) >= 1000
    assert len({injection.kind for injection in plan.injections}) >= 24


def test_every_word_is_an_image_that_the_engine_knows() -> None:
    for word in WORDS:
        image = images.reference("app-1", 17, word)
        assert images.number_of(image) == 17
        assert images.of_digest(images.digest(image)).word == images.of(image).word == word
