"""JSON from anybody, which other programs are to read again."""

from __future__ import annotations

import pytest

from funai.contract.strict_json import loads


@pytest.mark.parametrize("text", ['{"a": [1, -1.5e300, null, "x"]}', "7", "[]", "[[[]]]"])
def test_usual_values_are_read(text: str) -> None:
    assert loads(text, 3) is not None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a": 1e999}', "the number 1e999 is beyond what a double holds"),
        ('{"a": -1e400}', "the number -1e400 is beyond"),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ('{"a": -Infinity}', "-Infinity is not a JSON value"),
        ("[[[[]]]]", "more than 3 lists and objects are inside each other"),
        ('{"a": {"b": {"c": [1]}}}', "more than 3 lists"),
        ("[" * 100_000, "more than 3 lists"),
        ("{", "Expecting"),
    ],
)
def test_what_others_could_not_read_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        loads(text, 3)
