"""What a run does, all of it drawn from one seed: requests, and faults between them."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: Images with which requests come, by weight. The first is the healthy one.
WORDS = {
    "ok": 68, "slow": 3, "pullslow": 2, "dies": 3, "exit": 3, "mute": 2, "http500": 2, "poison": 0.4,
    "full": 2, "r500": 2, "r429": 2, "rhang": 1, "rgone": 2, "rdeny": 2, "rcut": 2, "rwrong": 2,
}  # fmt: skip
_HURRIED = 0.25


@dataclass(frozen=True)
class Request:
    """One create of a client."""

    number: int
    app: str
    word: str
    #: The client goes on to its next request at once, which supersedes this one.
    hurried: bool

    @property
    def pause_seconds(self) -> float:
        """How long a client in a hurry waits: the job before is then at any of its steps."""
        return self.number % 8 / 10


@dataclass(frozen=True)
class Injection:
    """One fault, once that many requests were acknowledged."""

    after: int
    kind: str
    #: Chooses between what the kind may hit; every fault draws all it needs from it.
    dice: int


@dataclass(frozen=True)
class Plan:
    """All that a run does."""

    seed: int
    requests: tuple[Request, ...]
    injections: tuple[Injection, ...]


@dataclass(frozen=True)
class Dose:
    """How often a kind of fault comes: once at least, and then so many times per 1,000 jobs."""

    kind: str
    per_thousand: float


def make_plan(seed: int, jobs: int, apps: int, doses: list[Dose]) -> Plan:
    """Return the plan of a seed; the same arguments give the same plan."""
    dice = random.Random(seed)  # noqa: S311 - a plan, not a secret
    words = dice.choices(list(WORDS), list(WORDS.values()), k=jobs)
    # Each word at least once, wherever the run is long enough.
    for word, place in zip(WORDS, dice.sample(range(jobs), min(jobs, len(WORDS))), strict=False):
        words[place] = word
    requests = tuple(
        Request(n, f"app-{dice.randrange(apps)}", word, dice.random() < _HURRIED)
        for n, word in enumerate(words)
    )
    injections = [
        Injection(dice.randrange(max(1, int(jobs * 0.95))), dose.kind, dice.getrandbits(32))
        for dose in doses
        for _ in range(max(1, round(dose.per_thousand * jobs / 1000)))
    ]
    return Plan(seed, requests, tuple(sorted(injections, key=lambda one: (one.after, one.kind))))
