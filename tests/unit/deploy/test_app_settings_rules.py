"""Rules of an app's settings: what a change makes of them, what is refused by name, what is sealed."""

from __future__ import annotations

from typing import Any

import pytest

from funai.contract import app_settings as rules
from funai.contract.ids import FieldError
from funai.deploy.app_settings.keyring import KeyMissingError, Keyring
from funai.deploy.app_settings.model import (
    AppSettings,
    Change,
    Entry,
    Shape,
    Variable,
    pack,
    unpack,
    with_defaults,
)
from funai.deploy.errors import ConflictError, InvalidRequestError

THEN, NOW = "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"
KEY, OLD_KEY = "a" * 32, "b" * 32
STORED = AppSettings(
    "shop",
    3,
    Shape(container_port=8080),
    (
        Variable("LEVEL", "info", is_secret=False, updated_at=THEN),
        Variable("TOKEN", "s3cret", is_secret=True, updated_at=THEN),
    ),
)


def changed(*entries: Entry, **shape: Any) -> AppSettings:
    return STORED.with_change(Change(shape, entries or None), NOW)


def test_change_replaces_what_it_names_and_keeps_the_rest() -> None:
    after = changed(memory_mib=128)

    assert after.shape == Shape(container_port=8080, memory_mib=128)
    assert after.variables == STORED.variables
    assert after.version == 4


def test_change_takes_a_setting_away() -> None:
    assert changed(container_port=None).shape == Shape()


def test_entry_without_a_value_keeps_the_stored_one() -> None:
    after = changed(Entry("TOKEN"), Entry("LEVEL", "debug"))

    assert after.environment == {"LEVEL": "debug", "TOKEN": "s3cret"}
    assert {v.name: v.updated_at for v in after.variables} == {"LEVEL": NOW, "TOKEN": THEN}
    assert {v.name: v.is_secret for v in after.variables} == {"LEVEL": False, "TOKEN": True}


def test_name_that_is_not_listed_goes() -> None:
    assert changed(Entry("LEVEL")).environment == {"LEVEL": "info"}


def test_new_variable_is_a_secret_unless_it_says_otherwise() -> None:
    after = changed(Entry("NEW", "x"), Entry("OPEN", "y", is_secret=False))

    assert {v.name: v.is_secret for v in after.variables} == {"NEW": True, "OPEN": False}


def test_same_again_keeps_the_version() -> None:
    after = changed(Entry("TOKEN", "s3cret"), Entry("LEVEL", "info"), container_port=8080)

    assert after is STORED


def test_empty_value_is_a_value() -> None:
    assert changed(Entry("LEVEL", "")).environment == {"LEVEL": ""}


def test_secret_does_not_become_readable_without_a_new_value() -> None:
    with pytest.raises(InvalidRequestError, match=r"environment\.TOKEN is a secret"):
        changed(Entry("TOKEN", is_secret=False))


def test_new_variable_needs_a_value() -> None:
    with pytest.raises(InvalidRequestError, match=r"environment\.NEW must be given a value"):
        changed(Entry("NEW"))


def test_name_is_given_once() -> None:
    with pytest.raises(InvalidRequestError, match=r"environment\.A is given twice"):
        changed(Entry("A", "1"), Entry("B", "1"), Entry("A", "2"))


def test_change_for_another_version_is_refused() -> None:
    with pytest.raises(ConflictError, match="at version 3, not 2"):
        STORED.with_change(Change(if_version=2), NOW)


def test_environment_is_bounded_in_all() -> None:
    entries = [Entry(f"V{number}", "x" * rules.MAX_VALUE_BYTES) for number in range(4)]

    with pytest.raises(InvalidRequestError, match="environment has 131080 bytes"):
        changed(*entries)


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A B", "A=B", "PORT", "BASE_PATH", "A" * 129, "\u00c4", "A\n", 5]
)
def test_unusable_name_is_refused(name: object) -> None:
    with pytest.raises(FieldError, match="name"):
        rules.variable_name("name", name)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("hidden\0", id="nul"),
        pytest.param("hidden" + "x" * 32768, id="long"),
        pytest.param("hidden" + "\u00e9" * 16384, id="long in bytes"),
        pytest.param("hidden\ud800", id="surrogate"),
        pytest.param(["hidden"], id="list"),
    ],
)
def test_unusable_value_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(FieldError, match=r"environment\.A") as caught:
        rules.variable_value("environment.A", value)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(("given", "milli"), [(1, 1000), (0.05, 50), ("0.5", 500), (64, 64000)])
def test_cpus_are_kept_in_thousandths(given: object, milli: int) -> None:
    assert rules.cpus_milli("cpus", given) == milli


@pytest.mark.parametrize("given", [0, 0.04, 64.1, -1, True, "many", "1e1", "nan", None, [1]])
def test_unusable_cpus_are_refused(given: object) -> None:
    with pytest.raises(FieldError, match="cpus"):
        rules.cpus_milli("cpus", given)


@pytest.mark.parametrize("given", [0, 31, 262145, 64.5, True, "1g", None])
def test_unusable_memory_is_refused(given: object) -> None:
    with pytest.raises(FieldError, match="memoryMib"):
        rules.memory_mib("memoryMib", given)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param({}, {"containerPort": 8080, "healthPath": "/up"}, id="nothing named"),
        pytest.param(
            {"containerPort": "90", "healthPath": "/x"},
            {"containerPort": "90", "healthPath": "/x"},
            id="both named, types kept",
        ),
        pytest.param(
            {"containerPort": None, "healthPath": ""},
            {"containerPort": 8080, "healthPath": "/up"},
            id="both empty",
        ),
    ],
)
def test_payload_goes_before_settings(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    assert with_defaults(payload, Shape(8080, "/up")) == expected
    assert with_defaults(payload, Shape()) == payload


def test_what_is_sealed_shows_nothing_and_opens_again() -> None:
    sealed = Keyring([KEY]).seal(pack("shop", STORED.variables))

    assert b"s3cret" not in sealed
    assert b"TOKEN" not in sealed
    assert unpack("shop", Keyring([KEY]).open(sealed, "app shop")) == STORED.variables


def test_older_key_still_opens() -> None:
    sealed = Keyring([OLD_KEY]).seal(b"x")
    both = Keyring([KEY, OLD_KEY])

    assert both.open(sealed, "app shop") == b"x"
    assert not both.is_newest(sealed)
    assert both.is_newest(both.seal(b"x"))


def test_missing_key_is_named_and_what_to_do() -> None:
    sealed = Keyring([OLD_KEY]).seal(b"x")

    with pytest.raises(KeyMissingError, match=r"app shop.*DEPLOY_SETTINGS_KEYS.*add the key"):
        Keyring([KEY]).open(sealed, "app shop")


def test_environment_of_another_app_is_refused() -> None:
    with pytest.raises(ValueError, match="another app"):
        unpack("shop", pack("bank", STORED.variables))


def test_values_are_in_no_representation() -> None:
    assert "s3cret" not in repr(STORED)
    assert "s3cret" not in repr(Change(environment=(Entry("A", "s3cret"),)))
