"""Walks through every state that one app with a few jobs and runners can come to.

Nothing waits and nothing is in order: a runner may stand still for as long as it likes, a lease may run out
at any time, and a message may arrive at any time after its claim, late, again, or never. So a state need
not hold messages: it holds what was granted, and all that a runner could have said with it may arrive.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tests.model.lifecycle import (
    CANCELLED,
    ENDED,
    FAILED,
    PENDING,
    RUNNING,
    SUCCEEDED,
    App,
    Grant,
    Rules,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNERS = ("A", "B")
JOBS = 2


class Work(NamedTuple):
    """A grant and how far its runner came with it."""

    grant: Grant
    #: Whether the agent did what it was called for; only then a runner reports SUCCEEDED.
    is_deployed: bool = False


class Agent(NamedTuple):
    """The agent of the app's node."""

    #: Highest fence that was shown to it.
    fence: int = 0
    #: Number of the job whose version runs.
    version: int | None = None


class State(NamedTuple):
    """Everything that matters from here on."""

    app: App = App()
    work: tuple[Work, ...] = ()
    agent: Agent = Agent()


#: What happened, and the state after it.
Edge = tuple[str, State]


class Violation(NamedTuple):
    """A broken invariant and the shortest way to it."""

    invariant: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        """Return the steps, one a line."""
        steps = "\n".join(f"  {n}. {step}" for n, step in enumerate(self.trace, 1))
        return f"{self.invariant}\n{steps}"


@dataclass
class Exploration:
    """What a walk through all states found."""

    rules: Rules
    #: Each state with the one before it on the shortest way, and what led from there.
    seen: dict[State, tuple[State, str] | None] = field(default_factory=dict)
    #: Each state with those from which time and new claims lead to it.
    forerunners: dict[State, list[State]] = field(default_factory=dict)
    #: Changes of a job's status that happened.
    moves: set[tuple[str, str]] = field(default_factory=set)
    steps: int = 0
    violation: Violation | None = None

    def take(self, before: State, name: str, after: State) -> None:
        """Judge a step."""
        self.steps += 1
        self.moves |= _moves(before.app, after.app)
        broken = broken_by(self.rules, before, after)
        if broken is not None:
            self.violation = Violation(broken, (*self.trace(before), name))

    def trace(self, state: State) -> tuple[str, ...]:
        """Return the shortest way to the state."""
        names: list[str] = []
        found = self.seen[state]
        while found is not None:
            state, name = found
            names.append(name)
            found = self.seen[state]
        return tuple(reversed(names))


def explore(rules: Rules) -> Exploration:
    """Walk breadth first from an app without jobs until all is seen or something is broken."""
    found, start = Exploration(rules), State()
    found.seen[start] = None
    waiting = deque([start])
    while waiting:
        before = waiting.popleft()
        for name, after in edges(rules, before):
            found.take(before, name, after)
            if found.violation is not None:
                return found
            if after not in found.seen:
                found.seen[after] = (before, name)
                waiting.append(after)
        for _, after in _alone(rules, before):
            found.forerunners.setdefault(after, []).append(before)
    return found


def edges(rules: Rules, state: State) -> Iterator[Edge]:
    """Yield every step that is possible here and changes something."""
    for name, after in _all_edges(rules, state):
        if after != state:
            yield name, after


def _all_edges(rules: Rules, state: State) -> Iterator[Edge]:
    yield from _callers(rules, state)
    yield from _alone(rules, state)
    for index in range(len(state.work)):
        yield from _runner(rules, state, index)


def _alone(rules: Rules, state: State) -> Iterator[Edge]:
    """Yield what happens although every caller and every runner so far is silent for good."""
    yield from _claims(rules, state)
    yield from _time(rules, state)


def _callers(rules: Rules, state: State) -> Iterator[Edge]:
    app = state.app
    if len(app.jobs) < JOBS:
        for supersede, how in ((False, "or be refused"), (True, "and supersede")):
            after = rules.create(app, supersede=supersede).app
            yield f"create job {len(app.jobs)} {how}", state._replace(app=after)
    for number in range(len(app.jobs)):
        after = rules.move(app, number, CANCELLED).app
        yield f"cancel job {number}", state._replace(app=after)


def _claims(rules: Rules, state: State) -> Iterator[Edge]:
    # Until the first claim the runners are alike.
    for runner in RUNNERS if state.work else RUNNERS[:1]:
        number = rules.claimable(state.app)
        if number is None:
            return
        after = rules.claim(state.app, runner).app
        grant = Grant(number, runner, after.jobs[number].fence)
        work = (*state.work, Work(grant))
        name = f"runner {runner} claims job {number} with fence {grant.fence}"
        yield name, state._replace(app=after, work=work)


def _time(rules: Rules, state: State) -> Iterator[Edge]:
    yield "the lease runs out", state._replace(app=rules.expire(state.app))
    yield "the reaper looks", state._replace(app=rules.reap(state.app))
    yield "the app is resumed", state._replace(app=rules.resume(state.app))
    closing, agent = state.app.closing, state.agent
    if closing:
        # Refused or not, the node knows of a fence that is no lower then.
        told = agent._replace(fence=max(agent.fence, closing))
        after = State(state.app._replace(closing=0), state.work, told)
        yield "the node is told of the end", after


def _runner(rules: Rules, state: State, index: int) -> Iterator[Edge]:
    """Yield what may arrive of one grant's runner."""
    app, work = state.app, state.work[index]
    grant, who = work.grant, f"runner {work.grant.runner} (fence {work.grant.fence})"
    for switches, phase in ((False, "BUILD"), (True, "DEPLOY")):
        beaten = rules.heartbeat(app, grant, switches=switches).app
        yield f"a heartbeat of {who} in {phase} arrives", state._replace(app=beaten)
    for word in (FAILED, SUCCEEDED) if work.is_deployed else (FAILED,):
        heard = rules.report(app, grant, word).app
        yield f"the report {word} of {who} arrives", state._replace(app=heard)
    fence = grant.fence or 0
    if rules.agent_takes(fence, state.agent.fence):
        done = (*state.work[:index], work._replace(is_deployed=True), *state.work[index + 1 :])
        agent = Agent(fence, grant.job)
        yield f"the call of {who} arrives at the agent", State(app, done, agent)


def _moves(before: App, after: App) -> set[tuple[str, str]]:
    pairs = zip(before.jobs, after.jobs, strict=False)
    return {(old.status, new.status) for old, new in pairs if old.status != new.status}


def broken_by(rules: Rules, before: State, after: State) -> str | None:
    """Return the invariant that the step breaks, or None."""
    checks = (
        (
            _is_kept(before.app, after.app),
            "I2: no job goes away, and one that ended stays as it is",
        ),
        (_is_alone(after.app), "I3: at most one RUNNING and one PENDING job"),
        (_is_rising(after), "I4: each claim's fence is above all before it"),
        (after.agent.fence >= before.agent.fence, "I5: the agent is changed in fence order"),
        (
            _is_left_alone(before, after),
            "I17: a node that was told of an end carries out nothing more of that job",
        ),
        (_is_newest(after), "I6: nothing older runs than the newest version that SUCCEEDED"),
        (
            all(job.attempt <= rules.max_attempts for job in after.app.jobs),
            "I7: no more attempts than allowed",
        ),
        (_is_last_word(after.app), "H2: only the newest fence's report ends a job"),
    )
    return next((name for holds, name in checks if not holds), None)


def _is_kept(before: App, after: App) -> bool:
    if len(after.jobs) < len(before.jobs):
        return False
    pairs = zip(before.jobs, after.jobs, strict=False)
    return all(old == new for old, new in pairs if old.status in ENDED)


def _is_alone(app: App) -> bool:
    statuses = [job.status for job in app.jobs]
    return statuses.count(RUNNING) <= 1 and statuses.count(PENDING) <= 1


def _is_rising(state: State) -> bool:
    fences = [work.grant.fence or 0 for work in state.work]
    return all(older < newer for older, newer in pairwise(fences))


def _is_left_alone(before: State, after: State) -> bool:
    # A call of the job that is there already changes nothing either, but must be refused all the same.
    done = sum(work.is_deployed for work in before.work) < sum(w.is_deployed for w in after.work)
    if not done and before.agent.version == after.agent.version:
        return True
    number = after.agent.version
    job = after.app.jobs[number] if number is not None else None
    return before.app.closing > 0 or job is None or job.status not in {FAILED, CANCELLED}


def _is_newest(state: State) -> bool:
    done = [number for number, job in enumerate(state.app.jobs) if job.status == SUCCEEDED]
    if not done:
        return True
    return state.agent.version is not None and state.agent.version >= max(done)


def _is_last_word(app: App) -> bool:
    return all(job.ended_by in (None, job.fence) for job in app.jobs)


def stuck(found: Exploration) -> list[State]:
    """Return the states in which a job may wait for good for a runner that went away (I1)."""
    ended = [s for s in found.seen if all(job.status in ENDED for job in s.app.jobs)]
    good, waiting = set(ended), deque(ended)
    while waiting:
        for state in found.forerunners.get(waiting.popleft(), ()):
            if state not in good:
                good.add(state)
                waiting.append(state)
    return [state for state in found.seen if state not in good]
