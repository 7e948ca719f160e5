from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.deploy_api import DeployApi, Event, read_events
from cli.errors import UnknownError, UnreachableError
from cli.following import GIVE_UP_SECONDS, Patience, follow_app, follow_job, unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOST = UnreachableError("Deploy broke the connection off", "wait")


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patience(clock: Clock, note: Callable[[str], None] = lambda _: None) -> Patience:
    return Patience(note, clock=lambda: clock.now, sleep=clock.sleep)


class JobLog:
    """A Deploy whose answers are scripted: each a list of events, ending in an error or not."""

    def __init__(self, *answers: Sequence[Event | Exception]) -> None:
        self.answers = list(answers)
        self.offsets: list[int] = []

    def job_events(self, job_id: str, offset: int) -> Iterator[Event]:
        self.offsets.append(offset)
        for item in self.answers.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item


def lines(first: int, count: int = 1) -> Event:
    data = {"lines": [{"n": first + n} for n in range(count)]}
    return Event("lines", data, first + count)


END = Event("end", {"status": "SUCCEEDED"}, 3)


def follow(log: JobLog, clock: Clock, offset: int = 0) -> list[Event]:
    return list(follow_job(cast("DeployApi", log), "job", offset, patience(clock)))


def test_lost_connection_is_taken_up_behind_the_last_line() -> None:
    log = JobLog([lines(0, 2), LOST], [], [lines(2), END])
    clock = Clock()

    found = follow(log, clock)

    assert [event.name for event in found] == ["lines", "lines", "end"]
    assert log.offsets == [0, 2, 2]
    assert len(clock.slept) == 2


def test_deploy_that_stays_away_ends_the_command() -> None:
    log = JobLog(*[[LOST]] * 100)
    clock = Clock()

    with pytest.raises(UnreachableError, match="broke"):
        follow(log, clock)

    assert GIVE_UP_SECONDS <= clock.now <= GIVE_UP_SECONDS + 10


def test_answers_that_end_in_order_are_never_given_up() -> None:
    # A silent job: each of its streams is ended by a restart of Deploy.
    log = JobLog(*[[]] * 60, [END])

    assert follow(log, Clock()) == [END]


def test_deploy_is_asked_again_when_it_said() -> None:
    busy = UnreachableError("too many", "wait", 17)
    clock = Clock()

    follow(JobLog([busy], [END]), clock)

    assert clock.slept == [17]


def test_break_is_told_once_and_again_after_it_healed() -> None:
    said: list[str] = []
    log = JobLog([LOST], [LOST], [lines(0), LOST], [END])

    list(follow_job(cast("DeployApi", log), "job", 0, patience(Clock(), said.append)))

    assert len(said) == 2


class AppLog:
    """A Deploy that knows an app's lines; ``cuts`` says at how many each follower loses it."""

    def __init__(self, *cuts: int | None) -> None:
        self.text = [f"line {n}" for n in range(30)]
        self.cuts = list(cuts)

    def app_log(self, app_id: str, tail: int, *, follow: bool) -> Iterator[str]:
        if not follow:
            cut = self.cuts[0] if self.cuts else None
            yield from self.text[: cut or len(self.text)][-tail:]
            return
        if not self.cuts:
            msg = "app is on no node"
            raise UnknownError(msg, "deploy it")
        cut = self.cuts.pop(0)
        yield from self.text[max(0, 5 - tail) : cut]
        yield "[the connection to node node-1 ended; ask again]"


def test_app_is_followed_over_breaks_without_a_line_lost_or_shown_twice() -> None:
    log = AppLog(8, 8, 20, 30)

    found = list(follow_app(cast("DeployApi", log), "shop", 3, patience(Clock())))

    assert found == log.text[2:]


def test_unknown_app_is_refused_at_once() -> None:
    with pytest.raises(UnknownError):
        list(follow_app(cast("DeployApi", AppLog()), "shop", 3, patience(Clock())))


def test_lines_that_were_rotated_away_are_told_as_missing() -> None:
    assert unseen(["a", "b"], ["x", "y"]) is None
    assert unseen([], ["x"]) == ["x"]
    assert unseen(["a", "b"], ["b", "c"]) == ["c"]


@given(st.lists(st.text("ab", max_size=2), unique=True, min_size=1), st.data())
def test_what_is_shown_is_what_came_behind_what_was_seen(all_lines: list[str], data: Any) -> None:
    cut = data.draw(st.integers(1, len(all_lines)))
    forgotten = data.draw(st.integers(0, cut - 1))

    assert unseen(all_lines[:cut], all_lines[forgotten:]) == all_lines[cut:]


def test_events_are_read_with_their_ids_and_comments_are_not() -> None:
    raw = [": still here", "", "id: 7", "event: lines", 'data: {"lines": []}', "", "event: cut"]

    assert list(read_events(iter(raw))) == [Event("lines", {"lines": []}, 7)]
