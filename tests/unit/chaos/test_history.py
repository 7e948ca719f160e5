from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.history import History, read

if TYPE_CHECKING:
    from pathlib import Path


def test_entries_of_all_files_come_by_time(tmp_path: Path) -> None:
    one, other = History(tmp_path / "one"), History(tmp_path / "other")
    for number in range(3):
        one.add("a", number=number)
        other.add("b", number=number)

    entries = read([tmp_path / "other", tmp_path / "one"])

    assert [entry["kind"] for entry in entries] == ["a", "b"] * 3
    one.close()
    other.close()


def test_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    history = History(tmp_path / "one")
    history.add("a")
    history.close()
    with (tmp_path / "one").open("ab") as file:
        file.write(b'{"t": 12.5, "kind": "b')

    assert [entry["kind"] for entry in read([tmp_path / "one"])] == ["a"]
