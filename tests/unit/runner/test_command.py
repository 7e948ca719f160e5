"""Programs end when they must, with all that they started."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from funai.runner.command import TIMED_OUT, TOO_MUCH, CommandMissingError, Finished, Limits, run

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"]}
#: Half of what the programs here would take by themselves; none of them is waited for at all.
SOON_SECONDS = 30


def shell(script: str, seconds: float = 10, **more: object) -> Finished:
    return run(["sh", "-c", script], Limits(seconds), env=ENV, **more)  # type: ignore[arg-type]


def test_output_of_both_kinds_comes_line_by_line() -> None:
    lines: list[str] = []

    finished = shell("echo a; echo b >&2; printf '1%%\\r2%%\\n\\033[31mred'", on_line=lines.append)

    assert lines == ["a", "b", "1%", "2%", "red"]
    assert (finished.ok, finished.tail) == (True, "a\nb\n1%\n2%\nred")


def test_status_and_standard_output_are_kept_apart(tmp_path: Path) -> None:
    finished = shell("echo out; echo err >&2; exit 3", stdout=True)

    assert (finished.returncode, finished.stdout, finished.tail) == (3, b"out\n", "err")
    assert not finished.ok
    shell("printf content", stdout=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_environment_is_only_what_was_given() -> None:
    finished = shell("env", stdout=True)

    names = {line.split(b"=")[0] for line in finished.stdout.splitlines()}
    assert names <= {b"PATH", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


def test_group_is_killed_at_the_deadline() -> None:
    began_at = time.monotonic()
    known = set(psutil.Process().children(recursive=True))

    finished = shell("sleep 60 & sleep 60", seconds=0.3)

    assert finished.stopped == TIMED_OUT
    assert time.monotonic() - began_at < SOON_SECONDS
    assert set(psutil.Process().children(recursive=True)) <= known


def test_program_left_in_the_background_neither_delays_nor_survives() -> None:
    began_at = time.monotonic()

    finished = shell("sleep 60 & echo $!", seconds=60)

    assert finished.ok
    assert time.monotonic() - began_at < SOON_SECONDS
    left = [p for p in psutil.process_iter() if p.pid == int(finished.tail)]
    _, alive = psutil.wait_procs(left, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_watch_ends_it_with_its_word() -> None:
    words = iter(["", "", "size"])

    finished = run(["sleep", "60"], Limits(10, lambda: next(words)), env=ENV)

    assert finished.stopped == "size"


def test_interruption_leaves_nothing() -> None:
    known = set(psutil.Process().children(recursive=True))

    def fail(_line: str) -> None:
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        shell("echo x; sleep 60", on_line=fail)

    assert set(psutil.Process().children(recursive=True)) <= known


def test_endless_output_is_bounded() -> None:
    lines: list[str] = []

    finished = shell("yes 0123456789 | head -c 20000000", on_line=lines.append)

    assert finished.ok
    assert sum(map(len, lines)) <= 4 * 1024 * 1024
    assert finished.tail.count("\n") == 59


def test_endless_standard_output_ends_it() -> None:
    assert shell("yes", stdout=True).stopped == TOO_MUCH


def test_program_that_is_missing_is_said() -> None:
    with pytest.raises(CommandMissingError, match="no-such-program"):
        run(["no-such-program"], Limits(1), env=ENV)


def test_stream_that_is_closed_early_does_not_delay_the_end() -> None:
    began_at = time.monotonic()

    finished = shell("exec >&- 2>&-; sleep 0.1; exit 4", seconds=60)

    assert finished.returncode == 4
    assert time.monotonic() - began_at < SOON_SECONDS
