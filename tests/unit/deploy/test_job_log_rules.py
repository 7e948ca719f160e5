"""Rules of jobs' logs: how lines are packed and what is left out of a long log."""

from __future__ import annotations

import pytest

from funai.deploy.job_logs.model import (
    Chunk,
    Head,
    Line,
    NumberedLine,
    neutralise,
    neutralise_phase,
    pack,
    unpack,
)

LIMIT = 1000


def test_lines_come_back_as_they_were_packed() -> None:
    lines = [Line(1, "BUILD", "a\tb"), Line(2, "", ""), Line(3, "PUSH", "中文")]

    found = unpack(7, pack(lines))

    assert found == [NumberedLine(7 + index, line) for index, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]0;title\x07text", "text", id="title"),
        pytest.param("a\r\x1b[2Kb", "a b", id="overwritten line"),
        pytest.param("one\ntwo\u2028three\x85", "one two three", id="line ends"),
        pytest.param("a\u202egnp.exe", "agnp.exe", id="direction"),
        pytest.param("nul\x00bell\x07", "nulbell", id="control"),
        pytest.param("x" * 10_000, "x" * 8192, id="long"),
    ],
)
def test_what_could_act_on_a_terminal_is_gone(text: str, plain: str) -> None:
    assert neutralise(text) == plain


def test_beginning_of_a_log_stays_and_the_oldest_behind_it_go() -> None:
    head = Head("job")
    chunks = [Chunk(first, 10, 100) for first in range(0, 120, 10)]

    for chunk in chunks:
        head = head.add(chunk, LIMIT)
    head = head.drop(chunks[2]).drop(chunks[3])

    assert (head.next_line, head.size, head.head_lines) == (120, 1000, 20)
    assert (head.dropped_from, head.dropped_to) == (20, 40)
    assert [head.resume(offset) for offset in (0, 19, 20, 39, 40)] == [0, 19, 40, 40, 40]


def test_newer_attempt_counts_its_lines_from_0_and_goes_on_behind_the_earlier() -> None:
    head = Head("job").admit(3).add(Chunk(0, 5, 50), LIMIT)

    again, newer = head.admit(3), head.admit(4)

    assert (again.received, newer.received, newer.next_line) == (5, 0, 5)


def test_phase_cannot_pass_for_a_part_of_the_text() -> None:
    assert neutralise_phase("BU\tILD\n" + "x" * 40) == "BU ILD " + "x" * 25
