"""Which images stay on a node."""

from __future__ import annotations

import pytest

from funai.runtime_agent.apps.model import AppState, KeptImage
from funai.runtime_agent.apps.retention import judge

DEPLOYED = {"shop": AppState.DEPLOYED, "blog": AppState.DEPLOYED}


def image(number: int, app_id: str = "shop", *, pulled: bool = True, at: float = -1) -> KeptImage:
    deployed_at = number if at < 0 else at
    return KeptImage(app_id, f"i{number}", f"d{number}", pulled, deployed_at)


def removable(*verdicts: object, newest: int = 3, **used: str) -> list[str]:
    images = [entry for entry in verdicts if isinstance(entry, KeptImage)]
    return [v.image.image_id for v in judge(images, DEPLOYED, used, newest) if v.removable]


def test_newest_images_stay_with_the_running_one_among_them() -> None:
    images = [image(number) for number in (5, 4, 3, 2, 1)]

    assert removable(*images, newest=3, i5="it is the image of app shop") == ["i2", "i1"]


def test_image_that_never_served_takes_no_place() -> None:
    images = [image(3), image(2), image(1), image(9, at=0)]

    assert removable(*images) == ["i9"]


def test_image_in_use_stays_however_old() -> None:
    images = [image(3), image(2), image(1)]

    assert removable(*images, newest=1, i1="the warm container of app shop needs it") == ["i2"]


def test_image_that_another_app_wants_stays() -> None:
    images = [image(3), image(2), image(1), image(1, "blog")]

    assert removable(*images, newest=2) == []


def test_image_that_was_not_pulled_is_never_removed() -> None:
    images = [image(3), image(2, pulled=False)]

    (verdict,) = [v for v in judge(images, DEPLOYED, {}, 1) if not v.wanted]
    assert (verdict.removable, verdict.why) == (False, "this agent did not pull it")


@pytest.mark.parametrize(("state", "kept"), [(AppState.STOPPED, True), (AppState.DELETED, False)])
def test_stopped_app_keeps_its_images_and_a_deleted_one_none(state: AppState, kept: bool) -> None:  # noqa: FBT001
    (verdict,) = judge([image(1)], {"shop": state}, {}, 3)

    assert verdict.wanted is kept


def test_every_verdict_says_why() -> None:
    images = [image(3), image(2), image(1), image(9, at=0)]

    whys = [verdict.why for verdict in judge(images, DEPLOYED, {"i1": "it is warm"}, 1)]

    assert whys == [
        "it is one of the newest 1 of app shop",
        "app shop has 1 newer ones",
        "it is warm",
        "it never served",
    ]
