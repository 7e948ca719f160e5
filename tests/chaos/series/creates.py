"""Clients that create jobs at a steady pace whatever happens to Deploy, and what they were told."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import requests

from tests.integration.deploy_process import API

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

_ANSWER_SECONDS = 15.0
_RETRY_SECONDS = 0.3
#: Creates that wait for an answer at once; far more than a pause of some seconds makes.
_THREADS = 64
#: Each so many-th create has no key, as the callers of before: it is not repeated.
_KEYLESS = 5
#: Nothing listens there now, so nothing was sent.
_NOT_SENT = -1


@dataclass
class Create:
    """One wish for a job: what was sent when, and what came back."""

    number: int
    key: str | None
    #: When each try was sent, by the wall clock, which is the database's too.
    sent: list[float] = field(default_factory=list)
    #: 200 acknowledged; 0 no answer, so that it may have been done; else the code of a refusal.
    codes: list[int] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    @property
    def app(self) -> str:
        return f"wish-{self.number}"

    @property
    def was_ambiguous(self) -> bool:
        """Whether its caller could not know at some time whether there is a job."""
        return any(code in {0, 503} for code in self.codes)


class Creates:
    """Creates jobs from entering the block to leaving it, each for an app of its own.

    :param urls: of the Deploys, asked in turn
    """

    def __init__(self, urls: Sequence[str], per_second: float) -> None:
        self._urls, self._pause = itertools.cycle(urls), 1 / per_second
        self._ended, self._given_up = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS)
        self._futures: list[Future[None]] = []
        self._clock = threading.Thread(target=self._run, name="creates", daemon=True)
        self._acknowledged = itertools.count(1)
        self.all: list[Create] = []
        self.acknowledged = 0

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Begin no more, and let those under way come to their answer for a while."""
        self._ended.set()
        self._clock.join()
        deadline = time.monotonic() + 60
        for future in self._futures:
            while not future.done() and time.monotonic() < deadline:
                time.sleep(0.05)
        self._given_up.set()
        self._pool.shutdown()

    def repeat_ambiguous(self) -> None:
        """Send every create once more whose caller was in doubt: the answer must be its one job."""
        list(self._pool_map([one for one in self.all if one.was_ambiguous and one.key]))

    def _pool_map(self, creates: Iterable[Create]) -> Iterable[None]:
        with ThreadPoolExecutor(8) as pool:
            yield from pool.map(self.ask, creates)

    def _run(self) -> None:
        due = time.monotonic()
        for number in itertools.count(1):
            key = None if number % _KEYLESS == 0 else f"series-{number}"
            self.all.append(Create(number, key))
            self._futures.append(self._pool.submit(self._create, self.all[-1]))
            due += self._pause
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return

    def _create(self, create: Create) -> None:
        while not self._given_up.is_set():
            self.ask(create)
            if create.jobs:
                self.acknowledged = next(self._acknowledged)
                return
            if create.key is None and create.codes[-1] != _NOT_SENT:
                return
            self._given_up.wait(_RETRY_SECONDS)

    def ask(self, create: Create) -> None:
        """Try once, and note what came back."""
        payload = {"appId": create.app, "userId": 1, "image": "registry.test/demo:1"}
        headers = {**API, **({"Idempotency-Key": create.key} if create.key else {})}
        create.sent.append(time.time())
        try:
            answer = requests.post(
                f"{next(self._urls)}/deploy/jobs",
                json={"type": "BUILD_AND_DEPLOY", "payload": payload},
                headers=headers,
                timeout=_ANSWER_SECONDS,
            )
            content = answer.json()
            create.codes.append(int(content["code"]))
            if create.codes[-1] == requests.codes.ok:
                create.jobs.append(str(content["data"]["id"]))
        except (requests.RequestException, ValueError, KeyError) as exc:
            create.codes.append(_NOT_SENT if "Connection refused" in str(exc) else 0)


@dataclass(frozen=True)
class Judgement:
    """What became of all creates."""

    acknowledged: int
    ambiguous: int
    #: Ambiguous ones whose job was there before the try that was answered.
    committed_unanswered: int
    lost: list[str]
    #: Keys with several jobs, or answered with different ones, or never answered.
    not_one: list[str]
    not_ended_once: list[str]

    @property
    def violations(self) -> list[str]:
        return [*self.lost, *self.not_one, *self.not_ended_once]


def judge(
    creates: Sequence[Create], jobs: Sequence[dict[str, Any]], audit: Sequence[dict[str, Any]]
) -> Judgement:
    """Compare what callers were told with the rows of jobs and their changes."""
    known = {str(row["id"]) for row in jobs}
    of_app: dict[str, list[str]] = {}
    for row in jobs:
        of_app.setdefault(str(row["app_id"]), []).append(str(row["id"]))
    made_at = {row["job_id"]: float(row["at"]) for row in audit if row["old_status"] is None}
    lost, not_one, early = [], [], 0
    for one in creates:
        lost += [
            f"job {job} of create {one.number} is not there" for job in one.jobs if job not in known
        ]
        if len(of_app.get(one.app, [])) > 1 or len(set(one.jobs)) > 1:
            not_one.append(f"create {one.number} has {of_app.get(one.app)}, was told {one.jobs}")
        if one.key and not one.jobs:
            not_one.append(f"create {one.number} was never answered: {one.codes}")
        if one.was_ambiguous and one.jobs:
            answered_at = one.sent[one.codes.index(requests.codes.ok)]
            early += made_at.get(one.jobs[0], answered_at) < answered_at
    return Judgement(
        acknowledged=sum(bool(one.jobs) for one in creates),
        ambiguous=sum(one.was_ambiguous for one in creates),
        committed_unanswered=early,
        lost=lost,
        not_one=not_one,
        not_ended_once=_not_ended_once(creates, audit),
    )


def _not_ended_once(creates: Sequence[Create], audit: Sequence[dict[str, Any]]) -> list[str]:
    ends: dict[str, list[str]] = {}
    for row in audit:
        if row["new_status"] not in {"PENDING", "RUNNING"} and row["old_status"] is not None:
            ends.setdefault(row["job_id"], []).append(str(row["new_status"]))
    acknowledged = {job for one in creates for job in one.jobs}
    return [
        f"job {job} ended as {ends.get(job)}"
        for job in sorted(acknowledged)
        if ends.get(job) != ["SUCCEEDED"]
    ]
