"""What forms say and ask for, times in words, and services' sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from funai.api.errors import DeployRefusedError, InvalidInputError
from funai.api.web import language, moments, phrases, settings_form
from funai.api.web.deploy_form import DeployForm, read_pairs
from funai.contract import app_settings
from funai.contract.ids import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def request_context() -> Iterator[None]:
    with Flask("test").test_request_context(headers={"Accept-Language": "en"}):
        yield


@pytest.fixture
def chinese() -> Iterator[None]:
    with Flask("test").test_request_context(headers={"Accept-Language": "zh-CN"}):
        assert language.current() == "zh"
        yield


@pytest.mark.parametrize(
    ("age", "says"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (3 * 86400, "3 days ago"),
        (60 * 86400, "2026-01-03"),
    ],
)
def test_how_long_ago_a_time_was(age: int, says: str) -> None:
    assert moments.ago(NOW - timedelta(seconds=age), NOW) == says


@pytest.mark.parametrize(
    "value",
    ["2026-03-04T05:06:07.000000Z", 1772600767000, datetime(2026, 3, 4, 5, 6, 7)],  # noqa: DTZ001 - as the database has it
)
def test_times_of_wire_and_database_are_utc(value: moments.Moment) -> None:
    assert moments.iso(value) == "2026-03-04T05:06:07Z"
    assert moments.absolute(value) == "2026-03-04 05:06:07 UTC"


def test_a_time_that_is_none_or_nonsense_is_empty() -> None:
    for value in (None, "", "yesterday"):
        assert (moments.ago(value), moments.iso(value), moments.absolute(value)) == ("", "", "")


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(None, ""), (-1, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (7261, "2 h 1 min")],
)
def test_how_long_something_took(seconds: float | None, says: str) -> None:
    assert moments.duration(seconds) == says


def test_the_form_is_filled_in_as_it_was_sent() -> None:
    sent = DeployForm.sent(
        {"kind": "git", "repoUrl": "https://git.test/x", "commit": "main", "buildArgs": "A=1\nB=2"}
    )

    again = DeployForm.of_source(sent.payload())

    assert again.payload() == sent.payload()
    assert again.typed["kind"] == "git"


def test_only_the_fields_of_the_chosen_kind_count() -> None:
    form = {"kind": "image", "image": "r.test/x:1", "repoUrl": "nonsense", "buildArgs": "nonsense"}

    assert DeployForm.sent(form).payload() == {"image": "r.test/x:1"}


def test_an_unknown_kind_is_an_image() -> None:
    with pytest.raises(InvalidInputError) as refused:
        DeployForm.sent({"kind": "magic"}).payload()

    assert refused.value.field == "image"


def test_pairs_keep_what_comes_after_the_first_equals_sign() -> None:
    assert read_pairs("buildArgs", "# no\n\n A = b=c \nD=") == {"A": " b=c", "D": ""}
    with pytest.raises(InvalidInputError, match="line 2"):
        read_pairs("buildArgs", "A=1\n=x")


def test_a_variable_is_set_beside_the_others_that_stay() -> None:
    stored = {
        "version": 3,
        "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": None}],
    }

    changed = settings_form.with_entry(
        stored, settings_form.entry({"name": " B ", "value": "x\r\ny"})
    )

    assert changed == {
        "environment": [{"name": "A"}, {"name": "B", "value": "x\ny", "secret": False}],
        "ifVersion": 3,
    }
    assert settings_form.without(stored, "A") == {"environment": [{"name": "B"}], "ifVersion": 3}


@pytest.mark.parametrize(
    ("message", "faults"),
    [
        ("environment.1.name '1x' must be a name", {"name": "'1x' must be a name"}),
        ("environment.A has 9 bytes", {"value": "has 9 bytes"}),
        ("memoryMib '1' must be odd", {"memoryMib": "'1' must be odd"}),
        ("the settings were changed", {}),
    ],
)
def test_a_refusal_is_told_at_its_field(message: str, faults: dict[str, str]) -> None:
    found, sentence = settings_form.faults_of(DeployRefusedError(400, message))

    assert found == faults
    assert (sentence is None) == bool(faults)


def test_values_are_never_shown_again() -> None:
    assert settings_form.typed({"name": "A", "value": "s3cret", "secret": "on"}) == {
        "name": "A",
        "secret": "on",
    }


def test_a_sentence_with_a_name_in_it_is_translated_around_the_name(chinese: None) -> None:
    said = phrases.said("app shop%s does not exist, or is not yours")
    assert said.startswith("应用 shop%s 不存在")
    assert phrases.said("is wrong") == "不正确"


def test_a_sentence_that_nobody_translated_is_shown_as_it_is(chinese: None) -> None:
    assert (
        phrases.said("the disk of node 100% %(x)s is full") == "the disk of node 100% %(x)s is full"
    )
    assert phrases.said("") == ""


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"kind": "image", "image": "a b"}, "image"),
        ({"kind": "git", "repoUrl": "x"}, "repoUrl"),
        ({"kind": "git", "repoUrl": "https://a:b@git.test/x"}, "repoUrl"),
        ({"kind": "git", "repoUrl": "https://git.test/x", "commit": "a b"}, "commit"),
        (
            {"kind": "git", "repoUrl": "https://git.test/x", "dockerfilePath": "../x"},
            "dockerfilePath",
        ),
        (
            {"kind": "git", "repoUrl": "https://git.test/x", "dockerfilePath": "x/"},
            "dockerfilePath",
        ),
        ({"kind": "git", "repoUrl": "https://git.test/x", "containerPort": "x"}, "containerPort"),
        (
            {"kind": "git", "repoUrl": "https://git.test/x", "containerPort": "70000"},
            "containerPort",
        ),
        ({"kind": "git", "repoUrl": "https://git.test/x", "healthPath": "x y"}, "healthPath"),
        ({"kind": "archive", "archiveUrl": "x", "sha256": "1"}, "archiveUrl"),
        ({"kind": "archive", "archiveUrl": "https://a.test/x.zip", "sha256": "1"}, "sha256"),
    ],
)
def test_a_rule_of_the_contract_has_its_chinese(
    form: dict[str, str], field: str, chinese: None
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        DeployForm.sent(form).payload()

    assert refused.value.field == field
    assert phrases.said(refused.value.rule) != refused.value.rule


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (app_settings.memory_mib, "1"),
        (app_settings.cpus_milli, "lots"),
        (app_settings.variable_name, "1x"),
        (app_settings.variable_name, "PORT"),
    ],
)
def test_a_rule_of_settings_has_its_chinese(
    rule: Callable[[str, object], object], value: str, chinese: None
) -> None:
    with pytest.raises(FieldError) as refused:
        rule("memoryMib", value)

    said = settings_form.faults_of(DeployRefusedError(400, str(refused.value)))[0]["memoryMib"]
    assert not said.isascii()
