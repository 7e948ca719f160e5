"""Which images of built revisions stay, and why."""

from __future__ import annotations

from typing import Any

import pytest

from funai.deploy.retention.model import Row, decide
from funai.deploy.revisions.model import RevisionState

ACTIVE, SUPERSEDED, FAILED = (
    RevisionState.ACTIVE,
    RevisionState.SUPERSEDED,
    RevisionState.FAILED,
)


def row(number: int, state: RevisionState = SUPERSEDED, **changed: Any) -> Row:
    values: dict[str, Any] = {
        "app_id": "shop",
        "number": number,
        "state": state,
        "built": True,
        "purged": False,
        "repository": "registry.test/funai/shop",
        "tag": f"t{number}",
        "digest": f"sha256:{number:064}",
        "activated_ms": number * 1000,
        "age_seconds": 100_000,
    }
    return Row(**{**values, **changed})


def removed(rows: list[Row], count: int = 3) -> list[tuple[str, int]]:
    return [
        (each.row.app_id, each.row.number)
        for each in decide(rows, count)
        if each.action == "remove"
    ]


def test_running_revision_and_those_active_last_stay() -> None:
    rows = [row(n) for n in range(1, 6)] + [row(6, ACTIVE)]

    assert removed(rows) == [("shop", 1), ("shop", 2), ("shop", 3)]


def test_after_a_rollback_the_order_of_activation_counts() -> None:
    rows = [row(1, ACTIVE, activated_ms=9000), *[row(n) for n in range(2, 6)]]

    assert removed(rows) == [("shop", 2), ("shop", 3)]


def test_each_app_keeps_its_own() -> None:
    rows = [row(1, ACTIVE), row(1, ACTIVE, app_id="blog", digest="sha256:b"), row(2, app_id="blog")]

    assert removed(rows, count=1) == [("blog", 2)]


@pytest.mark.parametrize(
    ("changed", "gone"),
    [
        pytest.param({"age_seconds": 10}, False, id="failed just now"),
        pytest.param({"age_seconds": 4000}, True, id="failed long ago"),
        pytest.param({"age_seconds": 4000, "is_busy": True}, False, id="a job is under way"),
        pytest.param({"age_seconds": 4000, "is_target": True}, False, id="a job goes back to it"),
        pytest.param({"age_seconds": 10, "purged": True}, True, id="its app was removed"),
        pytest.param({"age_seconds": 4000, "built": False}, False, id="somebody else's image"),
        pytest.param({"age_seconds": 4000, "digest": ""}, False, id="digest not known"),
    ],
)
def test_image_whose_deploy_failed(changed: dict[str, Any], *, gone: bool) -> None:
    rows = [row(1, ACTIVE), row(2, FAILED, **changed)]

    assert removed(rows) == ([("shop", 2)] if gone else [])


def test_image_that_a_kept_revision_of_any_app_shares_stays() -> None:
    shared = "sha256:shared"
    rows = [row(1, digest=shared), row(2, ACTIVE), row(7, ACTIVE, app_id="blog", digest=shared)]

    verdicts = {(v.row.app_id, v.row.number): v for v in decide(rows, 1)}

    assert verdicts["shop", 1].action == "keep"
    assert "revision 7 of app blog" in verdicts["shop", 1].why


def test_purged_app_keeps_nothing() -> None:
    rows = [row(1, purged=True), row(2, SUPERSEDED, purged=True)]

    assert removed(rows) == [("shop", 1), ("shop", 2)]


def test_image_that_a_registry_refused_to_remove_is_left_alone() -> None:
    (verdict, _) = decide([row(1, refusal="answered 405"), row(2, ACTIVE)], 1)

    assert (verdict.action, verdict.why) == ("keep", "answered 405")


def test_purged_image_that_a_job_under_way_may_need_stays() -> None:
    assert removed([row(1, purged=True, is_busy=True)]) == []


def test_entry_names_image_revision_and_reason() -> None:
    entry = decide([row(1), row(2, ACTIVE)], 1)[0].entry

    assert (entry.kind, entry.name, entry.action) == (
        "image",
        "registry.test/funai/shop:t1",
        "remove",
    )
    assert entry.why == "revision 1 of app shop: older than the revisions that are kept"


def test_image_that_serves_stays_although_its_job_did_not_succeed() -> None:
    rows = [row(1, ACTIVE), row(2, FAILED, serves=True), row(3, FAILED)]

    assert removed(rows, count=1) == [("shop", 3)]
