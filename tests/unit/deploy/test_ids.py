"""What users may choose, and what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from funai.contract import ids
from funai.contract.secrets import SecretError, matches, require_secret

if TYPE_CHECKING:
    from collections.abc import Callable

BAD_APP_IDS: tuple[object, ...] = (
    "",
    "-a",
    "a/b",
    "..",
    "a" * 64,
    "ä",
    "a\n",
    " a",
    None,
    True,
    1.5,
    {},
    -1,
)
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        pytest.param(ids.app_id, 20002, "20002", id="number as app id"),
        pytest.param(ids.app_id, "shop_1-a", None, id="app id"),
        pytest.param(ids.user_id, 7, "7", id="user id"),
        pytest.param(ids.image, "demo", "demo", id="bare image"),
        pytest.param(ids.image, "198.18.138.103/funai/demo:1", None, id="address as registry"),
        pytest.param(ids.image, "localhost:5000/a/b__c", None, id="registry with port"),
        pytest.param(ids.image, f"r.example/a@{DIGEST}", None, id="digest"),
        pytest.param(ids.image, f"r.example/a:1@{DIGEST}", None, id="tag and digest"),
        pytest.param(ids.container_port, None, 3000, id="default port"),
        pytest.param(ids.container_port, "8080", 8080, id="port in digits"),
    ],
)
def test_valid_values_pass(
    check: Callable[[object], object], value: object, expected: object
) -> None:
    assert check(value) == (value if expected is None else expected)


@pytest.mark.parametrize(
    ("check", "field", "value"),
    [
        *(
            pytest.param(ids.app_id, "appId", value, id=f"app {value!r:.20}")
            for value in BAD_APP_IDS
        ),
        *(
            pytest.param(ids.image, "image", value, id=f"image {value!r:.20}")
            for value in (
                "",
                "-v",
                "A/B",
                "a b",
                "a:",
                "a@sha256:1",
                "http://a/b",
                "a//b",
                "a/../b",
                "a;b",
                "a/b:{{x}}",
                "x" * 513,
                5,
                None,
            )
        ),
        *(
            pytest.param(ids.container_port, "containerPort", value, id=f"port {value!r:.20}")
            for value in (0, 65536, -1, "x", "1.5", 1.5, True, "")
        ),
    ],
)
def test_refusal_names_the_field(
    check: Callable[[object], object], field: str, value: object
) -> None:
    with pytest.raises(ids.FieldError, match=field):
        check(value)


@pytest.mark.parametrize("value", [None, "", "/apps/a", "/apps/a/"])
def test_app_has_one_base_path(value: object) -> None:
    assert ids.base_path(value, "a") == "/apps/a"


@pytest.mark.parametrize(
    "value", ["/", "/apps/b", "/apps/a/x", "/apps/a/..", "apps/a", 5, "/apps/a//"]
)
def test_other_base_paths_are_refused(value: object) -> None:
    with pytest.raises(ids.FieldError, match="/apps/a"):
        ids.base_path(value, "a")


@pytest.mark.parametrize("value", [None, "", " ", "CHANGE_ME_now_please_123", "short", "ä" * 20])
def test_unusable_secret_is_refused_without_being_shown(value: str | None) -> None:
    with pytest.raises(SecretError, match="SOME_TOKEN") as refusal:
        require_secret("SOME_TOKEN", value)

    shown = (value or "").strip()
    assert not shown or shown not in str(refusal.value)


def test_secrets_compare_by_all_of_their_characters() -> None:
    secret = require_secret("X", "0123456789abcdef")

    assert matches("0123456789abcdef", secret)
    assert not any(matches(shown, secret) for shown in (None, "", "0123456789abcde", secret + "0"))
