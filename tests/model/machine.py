"""Drives Deploy's services at random and holds them against the rules, after every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)

from funai.contract.status import JOB_TYPE, JobStatus
from funai.deploy.errors import DeployError
from funai.deploy.jobs.model import PAST_SWITCH, Extension, Report
from funai.deploy.revisions.service import Wish
from tests.model.judgement import check_app, check_change
from tests.model.lifecycle import RUNNING, App, Grant, Rules, Step
from tests.model.services import LEASE_SECONDS, Services

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

APPS = ("20001", "20002")
RUNNERS = ("runner-1", "runner-2")
_IMAGE = {"image": f"registry.test/demo@sha256:{'a' * 64}", "imageDigest": f"sha256:{'a' * 64}"}
_apps, _runners = st.sampled_from(APPS), st.sampled_from(RUNNERS)
_pick = st.integers(0, len(APPS) - 1)
#: Mostly the runner that the grant belongs to, and mostly with its fence.
_instead = st.sampled_from((None, None, None, None, *RUNNERS))
_rarely = st.sampled_from((False, False, False, False, True))


class Ref(NamedTuple):
    """A job: the number that its app has for it."""

    app: str
    number: int


class Held(NamedTuple):
    """What a claim gave, for good: a runner may speak of it whenever it likes."""

    job: Ref
    runner: str
    fence: int

    def shown(self, instead: str | None, *, fenceless: bool) -> Grant:
        """Return what the runner, or another one, shows of it."""
        return Grant(self.job.number, instead or self.runner, None if fenceless else self.fence)


class Jobs(RuleBasedStateMachine):
    """Two apps, two runners, and callers and operators who do as they like."""

    jobs: Bundle[Ref] = Bundle("jobs")
    held: Bundle[Held] = Bundle("held")

    def __init__(self, services: Services, rules: Rules) -> None:
        super().__init__()
        services.clear()
        self._services, self._rules = services, rules
        self._apps = dict.fromkeys(APPS, App())
        self._ids: dict[Ref, str] = {}
        #: Each idempotency key with its job and the request that made it.
        self._keys: dict[str, tuple[Ref, dict[str, Any]]] = {}
        self._seen = services.rows()

    @rule(
        target=jobs,
        app=_apps,
        supersede=st.booleans(),
        key=st.sampled_from((None, None, "key-1", "key-2")),
        tag=st.sampled_from(("1", "2")),
    )
    def create(
        self, app: str, key: str | None, tag: str, *, supersede: bool
    ) -> Ref | MultipleResults[Ref]:
        payload = {"appId": app, "userId": 1, "image": f"registry.test/demo:{tag}"}
        known = self._keys.get(key or "")
        step = self._rules.create(self._apps[app], supersede=supersede)
        if known is not None:
            step = Step(self._apps[app], is_accepted=known[1] == payload)
        jobs = self._services.jobs
        view = self._do(
            app, step, lambda: jobs.create(JOB_TYPE, payload, key=key, supersede=supersede)
        )
        if known is not None:
            assert view is None or view.job.id == self._ids[known[0]], "one key has two jobs"
            self._assert_nothing_changed("a repeated create")
            return multiple()
        if view is None:
            return multiple()
        ref = self._made(app, view.job.id)
        if key is not None:
            self._keys[key] = (ref, payload)
        return ref

    @rule(target=jobs, app=_apps, supersede=st.booleans())
    def roll_back(self, app: str, *, supersede: bool) -> Ref | MultipleResults[Ref]:
        step = self._rules.create(self._apps[app], supersede=supersede)
        wish = Wish(app, supersede=supersede)
        view = self._try(lambda: self._services.revisions.roll_back(wish, key=None))
        if view is None:
            self._assert_nothing_changed("a refused rollback")
            return multiple()
        assert step.is_accepted, "a rollback was accepted where no job may be created"
        self._apps[app] = step.app
        return self._made(app, view.job.id)

    @rule(target=held, runner=_runners)
    def claim(self, runner: str) -> Held | MultipleResults[Held]:
        return self._claim(runner)

    @precondition(lambda self: self.running)
    @rule(target=held, runner=_runners, pick=_pick)
    def claim_after_a_pause(self, runner: str, pick: int) -> Held | MultipleResults[Held]:
        """A runner stands still past its lease, and a runner, maybe the same, claims next."""
        self._expire(pick)
        return self._claim(runner)

    @rule(
        grant=held,
        instead=_instead,
        fenceless=_rarely,
        phase=st.sampled_from((None, "BUILD", "DEPLOY")),
    )
    def heartbeat(
        self, grant: Held, instead: str | None, phase: str | None, *, fenceless: bool
    ) -> None:
        shown = grant.shown(instead, fenceless=fenceless)
        app = grant.job.app
        step = self._rules.heartbeat(self._apps[app], shown, switches=phase in PAST_SWITCH)
        beat = Extension(
            self._ids[grant.job], shown.runner, LEASE_SECONDS, fence=shown.fence, phase=phase
        )
        self._do(app, step, lambda: self._services.leases.heartbeat(beat))

    @rule(
        grant=held,
        instead=_instead,
        fenceless=_rarely,
        status=st.sampled_from((JobStatus.SUCCEEDED, JobStatus.FAILED)),
    )
    def report(
        self, grant: Held, instead: str | None, status: JobStatus, *, fenceless: bool
    ) -> None:
        shown = grant.shown(instead, fenceless=fenceless)
        app = grant.job.app
        step = self._rules.report(self._apps[app], shown, status)
        word = Report(
            self._ids[grant.job], shown.runner, status, fence=shown.fence, result=dict(_IMAGE)
        )
        self._do(app, step, lambda: self._services.leases.report(word))

    @rule(job=jobs)
    def cancel(self, job: Ref) -> None:
        step = self._rules.move(self._apps[job.app], job.number, JobStatus.CANCELLED)
        self._do(job.app, step, lambda: self._services.jobs.cancel(self._ids[job], None))

    @rule(job=jobs, status=st.sampled_from(JobStatus))
    def transition(self, job: Ref, status: JobStatus) -> None:
        step = self._rules.move(self._apps[job.app], job.number, status)
        jobs = self._services.jobs
        self._do(job.app, step, lambda: jobs.transition(self._ids[job], status, None))

    @precondition(lambda self: self.running)
    @rule(pick=_pick)
    def let_lease_run_out(self, pick: int) -> None:
        self._expire(pick)

    @precondition(lambda self: self.running)
    @rule()
    def reap(self) -> None:
        self._services.reaper.round()
        self._apps = {name: self._rules.reap(app) for name, app in self._apps.items()}

    @precondition(lambda self: self.is_any_paused)
    @rule(app=_apps)
    def resume(self, app: str) -> None:
        step = Step(self._rules.resume(self._apps[app]), is_accepted=bool(self._apps[app].jobs))
        self._do(app, step, lambda: self._services.apps.resume(app))

    @rule(app=_apps)
    def stop(self, app: str) -> None:
        was_placed = any(job.attempt for job in self._apps[app].jobs)
        step = Step(self._apps[app], is_accepted=was_placed)
        self._do(app, step, lambda: self._services.apps.stop(app, "1"))

    @invariant()
    def holds(self) -> None:
        before, self._seen = self._seen, self._services.rows()
        for name, app in self._apps.items():
            ids = [self._ids[Ref(name, number)] for number in range(len(app.jobs))]
            check_app(self._seen, name, app, ids, self._rules.max_attempts)
        check_change(before, self._seen)

    @property
    def running(self) -> list[Ref]:
        """The RUNNING jobs."""
        found = ((app, state.active(RUNNING)) for app, state in self._apps.items())
        return [Ref(app, number) for app, number in found if number is not None]

    @property
    def is_any_paused(self) -> bool:
        """Whether an app is paused."""
        return any(app.is_paused for app in self._apps.values())

    def _claim(self, runner: str) -> Held | MultipleResults[Held]:
        before = self._services.rows()
        due = [ref for ref in self._ids if self._rules.claimable(self._apps[ref.app]) == ref.number]
        view = self._services.leases.claim(runner, LEASE_SECONDS, 0)
        wanted = self._ids[due[0]] if due else None
        assert (None if view is None else view.job.id) == wanted, "another job was claimed"
        if view is None:
            assert self._services.rows() == before, "a claim of nothing changed something"
            return multiple()
        app = due[0].app
        self._apps[app] = self._rules.claim(self._apps[app], runner).app
        return Held(due[0], runner, view.job.fence or 0)

    def _expire(self, pick: int) -> None:
        job = self.running[pick % len(self.running)]
        self._services.expire(self._ids[job])
        self._apps[job.app] = self._rules.expire(self._apps[job.app])

    def _do(self, app: str, step: Step, call: Callable[[], Result]) -> Result | None:
        """Make a call; its caller is told what the rules say, and what they refuse has no effect.

        A heartbeat may be refused because it ended its job: there the rules say what changed.
        """
        result = self._try(call)
        was_accepted = result is not None
        assert was_accepted is step.is_accepted, "accepted" if was_accepted else "refused"
        if not was_accepted and step.app == self._apps[app]:
            self._assert_nothing_changed("a refused call")
        self._apps[app] = step.app
        return result

    def _try(self, call: Callable[[], Result]) -> Result | None:
        try:
            return call()
        except DeployError:
            return None

    def _assert_nothing_changed(self, what: str) -> None:
        assert self._services.rows() == self._seen, f"{what} changed something"

    def _made(self, app: str, job_id: str) -> Ref:
        ref = Ref(app, len(self._apps[app].jobs) - 1)
        self._ids[ref] = job_id
        return ref
