"""Lines reach Deploy in order and once, whatever happens to the calls."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from funai.runner import log_shipper
from funai.runner.client import Answer
from funai.runner.errors import DeployUnreachableError
from funai.runner.log_line import LogLine
from funai.runner.log_shipper import BATCH_SECONDS, LineBuffer, LogShipper
from funai.runner.model import ClaimedJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from funai.runner.client import DeployClient

Fault = BaseException | Answer | None
#: For what takes milliseconds where nobody else wants the machine.
SECONDS = 30.0
JOB = ClaimedJob.parse({"id": "job-1", "fence": 3, "payload": {}}, lease_seconds=30)


class FakeDeploy:
    """Keeps lines by offset as Deploy does; a test orders what happens to a call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.lines: list[str] = []
        #: How many lines each call brought.
        self.calls: list[int] = []
        self.before: Callable[[int], Fault] = lambda _call: None
        self.after: Callable[[int], Fault] = lambda _call: None
        self.closed = False

    def append_log(self, job_id: str, body: dict[str, Any], timeout: float) -> Answer:
        assert (job_id, body["fence"]) == ("job-1", 3)
        assert timeout > 0
        number = len(self.calls)
        with self._changed:
            self.calls.append(len(body["lines"]))
            self._changed.notify_all()
        self._raise(answer := self.before(number))
        if isinstance(answer, Answer):
            return answer
        with self._changed:
            if body["offset"] > len(self.lines):
                return Answer(409, "gap", {"next": len(self.lines)})
            texts = [line["m"] for line in body["lines"]]
            self.lines += texts[len(self.lines) - body["offset"] :]
            self._changed.notify_all()
        self._raise(answer := self.after(number))
        return answer if isinstance(answer, Answer) else Answer(200, "", {"next": len(self.lines)})

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], seconds: float = SECONDS) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    @staticmethod
    def _raise(fault: Fault) -> None:
        if isinstance(fault, BaseException):
            raise fault


@pytest.fixture
def deploy() -> FakeDeploy:
    return FakeDeploy()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def shipper(deploy: FakeDeploy, notes: list[str]) -> Iterator[LogShipper]:
    shipper = LogShipper(JOB, cast("DeployClient", deploy), notes.append)
    yield shipper
    shipper.finish(0)


def line(text: str) -> LogLine:
    return LogLine(1, "BUILD", text)


def texts(count: int) -> list[str]:
    return [f"line {n}" for n in range(count)]


def test_lines_arrive_in_order(deploy: FakeDeploy, shipper: LogShipper) -> None:
    for text in texts(5000):
        shipper.add(line(text))
    shipper.finish(SECONDS)

    assert deploy.lines == texts(5000)
    assert max(deploy.calls) <= 1000
    assert deploy.closed


def test_single_line_is_sent_at_once_and_the_next_soon(deploy: FakeDeploy) -> None:
    # By a clock of the test's own: how soon something is on this machine is not the shipper's doing.
    now = [1000.0]
    shipper = LogShipper(JOB, cast("DeployClient", deploy), print, lambda: now[0])

    shipper.add(line("a"))
    assert deploy.wait_for(lambda: deploy.lines == ["a"])
    shipper.add(line("b"))
    now[0] += BATCH_SECONDS / 2
    came_early = deploy.wait_for(lambda: len(deploy.calls) > 1, 3 * BATCH_SECONDS)
    now[0] += BATCH_SECONDS
    came_soon = deploy.wait_for(lambda: deploy.lines == ["a", "b"])
    shipper.finish(0)

    assert not came_early
    assert came_soon


def test_answer_that_was_lost_does_not_double_lines(
    deploy: FakeDeploy, shipper: LogShipper
) -> None:
    lost = DeployUnreachableError("no answer in time")
    deploy.after = lambda call: lost if call in {0, 1, 3} else None

    for text in texts(3000):
        shipper.add(line(text))
    shipper.finish(SECONDS)

    assert deploy.lines == texts(3000)


def test_call_that_did_not_arrive_is_repeated(deploy: FakeDeploy, shipper: LogShipper) -> None:
    faults: list[Fault] = [DeployUnreachableError("x", 502), Answer(503, "", None)]
    deploy.before = lambda call: faults[call] if call < len(faults) else None

    shipper.add(line("a"))
    shipper.finish(SECONDS)

    assert deploy.lines == ["a"]


def test_deploy_that_lost_lines_is_followed(deploy: FakeDeploy, shipper: LogShipper) -> None:
    shipper.add(line("a"))
    assert deploy.wait_for(lambda: deploy.lines == ["a"])
    deploy.lines.clear()

    shipper.add(line("b"))
    shipper.finish(SECONDS)

    assert deploy.lines == ["b"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(DeployUnreachableError("HTML", 404), id="404 without an envelope"),
        pytest.param(DeployUnreachableError("HTML", 405), id="405 without an envelope"),
        pytest.param(Answer(404, "no such path", None), id="404"),
    ],
)
def test_older_deploy_is_not_asked_again(
    deploy: FakeDeploy, shipper: LogShipper, notes: list[str], answer: Fault
) -> None:
    deploy.before = lambda _call: answer

    for text in texts(10):
        shipper.add(line(text))
    shipper.finish(SECONDS)
    shipper.add(line("later"))

    assert len(deploy.calls) == 1
    assert notes == []


def test_refusal_is_noted_once_and_ends_it(
    deploy: FakeDeploy, shipper: LogShipper, notes: list[str]
) -> None:
    deploy.before = lambda _call: Answer(409, "fence 4 is newer", None)

    for text in texts(10):
        shipper.add(line(text))
    shipper.finish(SECONDS)

    assert notes == ["409: fence 4 is newer"]
    assert len(deploy.calls) == 1


def refuse_bodies_over(deploy: FakeDeploy, size: int, fault: Fault) -> None:
    """Have Deploy refuse what is longer, as it arrives."""
    take = deploy.append_log

    def append_log(job_id: str, body: dict[str, Any], timeout: float) -> Answer:
        deploy.before = lambda _call: fault if len(json.dumps(body)) > size else None
        return take(job_id, body, timeout)

    deploy.append_log = append_log  # type: ignore[method-assign]


def test_body_with_many_emoji_is_no_longer_than_one_without() -> None:
    buffer = LineBuffer()
    for _ in range(540):
        buffer.add(line("\N{ROCKET}" * 900))

    batch = buffer.first(1000, log_shipper.MAX_BATCH_BYTES)

    body = json.dumps([found.to_wire() for found in batch])
    assert log_shipper.MAX_BATCH_BYTES * 0.9 < len(body) <= log_shipper.MAX_BATCH_BYTES


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(413, "the body is longer", None), id="Deploy"),
        pytest.param(DeployUnreachableError("HTML", 413), id="a proxy"),
    ],
)
def test_batch_that_is_too_large_is_sent_in_parts(
    deploy: FakeDeploy, shipper: LogShipper, notes: list[str], fault: Fault
) -> None:
    refuse_bodies_over(deploy, 2000, fault)

    for text in texts(300):
        shipper.add(line(text))
    shipper.finish(SECONDS)

    assert deploy.lines == texts(300)
    assert notes == []


def test_line_that_is_too_large_alone_is_left_out_and_the_log_says_so(
    deploy: FakeDeploy, shipper: LogShipper, notes: list[str]
) -> None:
    refuse_bodies_over(deploy, 2000, Answer(413, "the body is longer", None))

    for text in ["before", "x" * 2000, "y" * 2000, "after"]:
        shipper.add(line(text))
    shipper.finish(SECONDS)

    left_out = "[1 line left out: it was too large to send]"
    assert deploy.lines == ["before", left_out, left_out, "after"]
    assert notes == []


def test_deploy_that_finds_every_body_too_large_is_not_asked_for_ever(
    deploy: FakeDeploy, shipper: LogShipper, notes: list[str]
) -> None:
    deploy.before = lambda _call: Answer(413, "the body is longer", None)

    shipper.add(line("a"))
    shipper.finish(SECONDS)

    assert notes == ["413: the body is longer"]
    assert len(deploy.calls) == 2


def test_end_waits_for_no_deploy_that_is_away(deploy: FakeDeploy, shipper: LogShipper) -> None:
    deploy.before = lambda _call: DeployUnreachableError("connection refused")
    shipper.add(line("a"))
    began_at = time.monotonic()

    shipper.finish(0.5)

    # A machine that has much to do may take seconds more, but not as many.
    assert time.monotonic() - began_at < SECONDS
    assert deploy.wait_for(lambda: deploy.closed)


def test_job_is_slowed_down_rather_than_lines_lost_while_deploy_takes_them(
    deploy: FakeDeploy, shipper: LogShipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This Deploy takes lines all the time: a machine that stands still for a while is not its fault.
    monkeypatch.setattr(log_shipper, "PATIENCE_SECONDS", SECONDS)
    deploy.before = lambda _call: time.sleep(0.01)
    count, text = 3000, "x" * 4000

    for number in range(count):
        shipper.add(line(f"{number} {text}"))
    shipper.finish(SECONDS)

    assert [found.split()[0] for found in deploy.lines] == [str(n) for n in range(count)]


def test_job_goes_on_when_deploy_takes_nothing(deploy: FakeDeploy, shipper: LogShipper) -> None:
    deploy.before = lambda _call: DeployUnreachableError("connection refused")
    began_at = time.monotonic()

    for _ in range(10_000):
        shipper.add(line("x" * 4000))

    # Waiting for each line by itself would take hours.
    assert time.monotonic() - began_at < SECONDS


def test_full_buffer_drops_its_middle_and_says_how_much() -> None:
    buffer = LineBuffer(max_bytes=20_000)
    for text in texts(1000):
        buffer.add(line(text))
    kept: list[str] = []

    while batch := buffer.first(7, 1_000_000):
        kept += [found.text for found in batch]
        buffer.drop_first(len(batch))

    marks = [text for text in kept if text.startswith("[")]
    lines = [text for text in kept if not text.startswith("[")]
    assert marks == [f"[{1000 - len(lines)} lines left out: Deploy did not take them in time]"]
    assert (lines[0], lines[-1]) == ("line 0", "line 999")
    assert sum(line(text).size() for text in lines) <= 20_000


def test_batch_stays_the_same_until_it_has_arrived() -> None:
    buffer = LineBuffer()
    for text in texts(10):
        buffer.add(line(text))

    assert buffer.first(3, 1000) == buffer.first(3, 1000)


def test_line_larger_than_a_batch_goes_alone() -> None:
    buffer = LineBuffer()
    buffer.add(line("x" * 500))
    buffer.add(line("y"))

    assert len(buffer.first(10, 100)) == 1
