from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cli.errors import CliError
from cli.view import View

if TYPE_CHECKING:
    from typing import TextIO


class Terminal(io.StringIO):
    """A terminal of 60 columns, as far as a program sees."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")


def view(out: TextIO, *, as_json: bool = False, utc: bool = False) -> View:
    return View(as_json=as_json, utc=utc, out=out, err=io.StringIO())


ROW = ("shop", ("failed", "bold red"), "why " * 30)


def test_colours_are_for_terminals() -> None:
    terminal, pipe = Terminal(), io.StringIO()

    view(terminal).table(("app", "state", "why"), [ROW])
    view(pipe).table(("app", "state", "why"), [ROW])

    assert "\x1b[1;31m" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()

    view(terminal).table(("app", "state", "why"), [ROW])

    assert "31m" not in terminal.getvalue()


def test_forced_colours_do_not_reach_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = io.StringIO()

    view(pipe).line(("failed", "bold red"))

    assert pipe.getvalue() == "failed\n"


def test_table_fits_the_terminal_and_loses_nothing() -> None:
    terminal = Terminal()

    view(terminal).table(("app", "state", "why"), [ROW])

    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert terminal.getvalue().count("why") == 30
    assert len(lines) > 2


def test_row_in_a_pipe_is_one_line_without_blanks_at_its_end() -> None:
    pipe = io.StringIO()

    view(pipe).table(("app", "state", "why"), [ROW, ("a", "b", "c")])

    assert [len(line.split()) for line in pipe.getvalue().splitlines()] == [3, 32, 3]
    assert all(line == line.rstrip() for line in pipe.getvalue().splitlines())


def test_text_of_users_is_no_markup() -> None:
    pipe = io.StringIO()

    view(pipe).line("[red]x[/red] :smile:")

    assert pipe.getvalue() == "[red]x[/red] :smile:\n"


def test_times_are_relative_unless_asked_otherwise() -> None:
    relative, absolute = view(io.StringIO()), view(io.StringIO(), utc=True)
    at = relative.now - timedelta(minutes=5)

    assert relative.when(at) == "5 min ago"
    assert absolute.when(at) == at.strftime("%Y-%m-%d %H:%M:%S UTC")
    assert absolute.when(None) == "never"


def test_failure_says_what_to_do_next_in_both_forms() -> None:
    out, err = io.StringIO(), io.StringIO()

    View(as_json=True, utc=False, out=out, err=err).fail(CliError("it broke", "mend it"))

    assert json.loads(out.getvalue()) == {"error": {"reason": "it broke", "advice": "mend it"}}
    assert err.getvalue() == "it broke\n  next: mend it\n"


def test_wait_says_nothing_into_a_pipe() -> None:
    err = io.StringIO()

    with View(as_json=False, utc=False, out=io.StringIO(), err=err).waiting("asks", 3) as done:
        done()

    assert err.getvalue() == ""


def test_long_wait_shows_on_a_terminal_and_a_short_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short, long = Terminal(), Terminal()
    shown = View(as_json=False, utc=False, out=io.StringIO(), err=short)

    with shown.waiting("asks the hosts"):
        pass
    monkeypatch.setattr("cli.view.PATIENCE_SECONDS", 0)
    with View(as_json=False, utc=False, out=io.StringIO(), err=long).waiting("asks the hosts"):
        while "asks the hosts" not in long.getvalue():
            pass

    assert "asks the hosts" not in short.getvalue()
