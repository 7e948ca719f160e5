"""Secrets of apps have any form: they are known whole, quoted, by line and cut off."""

from __future__ import annotations

import json
import time

import pytest

from funai.runner.redaction import Redactor, parts_of
from funai.runner.steps.app_settings import AppSettings

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nzzTop-0987654321\n-----END KEY-----\n"
LONG = "".join(f"{number:x}-" for number in range(200))


def clean(text: str, *secrets: str) -> str:
    redactor = Redactor(())
    redactor.add(part for secret in secrets for part in parts_of(secret))
    return redactor.clean(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"key: {KEY}", id="whole"),
        pytest.param(json.dumps({"key": KEY}), id="quoted"),
        pytest.param("\n".join(f"> {line}" for line in KEY.splitlines()), id="by line"),
        pytest.param(" ".join(KEY.split()), id="in one line"),
    ],
)
def test_secret_of_several_lines_is_masked(text: str) -> None:
    found = clean(text, KEY)

    assert "MIIEvQ" not in found
    assert "zzTop" not in found


@pytest.mark.parametrize(("start", "end"), [(0, 500), (0, 40), (100, 140), (37, 400), (450, 600)])
def test_secret_that_was_cut_is_masked(start: int, end: int) -> None:
    assert clean(f"it is {LONG[start:end]}|", LONG) == "it is ***|"


def test_secret_within_another_hides_nothing_less() -> None:
    assert clean(f"{LONG[:300]} and {LONG[50:60]}", LONG, LONG[50:60]) == "*** and ***"


def test_secret_that_repeats_itself_is_masked() -> None:
    secret = "start-" + "0123456789abcdef" * 40

    assert clean(f"it is {secret[:500]}.", secret) == "it is ***."
    assert clean("*" * 50, "*" * 40) == "***" + "*" * 10


def test_short_values_stay() -> None:
    assert clean("on 1 abc", "on", "1", "abc") == "on 1 abc"


def test_largest_environment_is_masked_in_little_time() -> None:
    secrets = [f"{number}" + LONG * 40 for number in range(4)]
    redactor = Redactor(())
    redactor.add(part for secret in secrets for part in parts_of(secret))
    # Of this thread alone: what others do on the machine is not counted.
    began_at = time.thread_time()

    redactor.clean("a line of a log " * 60)

    assert time.thread_time() - began_at < 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"environment": [], "limits": {}, "secretNames": []},
        {"environment": {"A": 1}, "limits": {}, "secretNames": []},
        {"environment": {}, "limits": {}},
    ],
)
def test_answer_that_is_none_is_not_taken(data: object) -> None:
    assert AppSettings.parse(data) is None


def test_settings_show_no_value() -> None:
    data = {"environment": {"A": "hunter2"}, "limits": {}, "secretNames": ["A", "GONE"]}
    found = AppSettings.parse(data)

    assert found is not None
    assert found.secrets == ("hunter2",)
    assert "hunter2" not in repr(found)
