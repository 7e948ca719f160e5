from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli import times

NOW = datetime(2026, 11, 25, 15, 6, 52, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (-30, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (95, "1 min 35 s ago"),
        (11 * 60 + 5, "11 min ago"),
        (3600 * 3 + 60, "3 h 1 min ago"),
        (86_400 * 2, "2 d ago"),
        (86_400 * 40, "40 d ago"),
    ],
)
def test_past_is_told_by_its_largest_units(seconds: float, text: str) -> None:
    assert times.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_never_happened_is_never() -> None:
    assert times.ago(None, NOW) == "never"
    assert times.absolute(None) == "-"
    assert times.iso(None) is None


def test_wire_times_of_both_kinds_are_the_same_time() -> None:
    assert times.from_iso("2026-11-25T15:06:52.000000Z") == NOW
    assert times.from_ms(int(NOW.timestamp() * 1000)) == NOW
    assert times.iso(NOW) == "2026-11-25T15:06:52.000Z"
    assert times.absolute(NOW) == "2026-11-25 15:06:52 UTC"


def test_sizes_keep_three_digits() -> None:
    assert [times.size(n) for n in (None, 0, 999, 76_240_465_920, 2.5e12)] == [
        "-",
        "0 B",
        "999 B",
        "76 GB",
        "2.5 TB",
    ]
