"""What all steps share: how one fails, its deadline, and what it gets to work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funai.runner.build_settings import BuildSettings
from funai.runner.model import clean_text, error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from funai.runner.lease import Clock

#: Reason of a step that must not be reported, because another attempt may be under way.
LEASE_LOST = "LEASE_LOST"


class StepError(Exception):
    """A step cannot reach its end.

    :param reason: a word in capitals, for programs
    :param sentence: what happened, to what, what to do next
    :param evidence: what was seen; of a long one the tail is kept
    """

    def __init__(self, reason: str, sentence: str, evidence: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.evidence = evidence

    @property
    def text(self) -> str:
        """Sentence and evidence within Deploy's limit."""
        return error_text(self.sentence, self.evidence)


class Deadline:
    """A moment by which a step has to be done."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._ends_at = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; never below 0."""
        return max(0.0, self._ends_at - self._clock())

    def allows(self, pause: float) -> bool:
        """Say whether something can still be tried after a pause."""
        return self.remaining > pause


@dataclass(frozen=True)
class StepContext:
    """What a step gets: the job's file as read, the clock, and the runner's secrets by name."""

    job_file: Path
    record: dict[str, Any]
    clock: Clock
    #: Waits so many seconds.
    pause: Callable[[float], object]
    #: Environment variable name -> the secret in the file that it names; empty where there is none.
    read_secret: Callable[[str], str]
    #: Writes a line to the job's log.
    say: Callable[[str], object] = str
    #: Keeps these secrets out of all that the step leaves.
    hide: Callable[[Iterable[str]], object] = list

    @property
    def folder(self) -> Path:
        """Where the steps keep what they need of each other."""
        return self.job_file.parent

    @property
    def build(self) -> BuildSettings:
        """How this runner fetches, builds and pushes."""
        return BuildSettings.from_json(self.record.get("build"))

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor reads the outcome file and reports it."""
        return self.record.get("supervised") is True

    def limit(self, name: str, default: float) -> float:
        """Return a limit in seconds from the job's file."""
        limits = self.record.get("limits")
        value = limits.get(name) if isinstance(limits, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return default
        return float(value)


@dataclass(frozen=True)
class StepResult:
    """What a step that reached its end leaves for the outcome."""

    #: Kept in the job's event by Deploy.
    result: dict[str, Any] = field(default_factory=dict)
    #: One line about the answer that was got, for the journal.
    answer: str = ""
    calls: int = 0
    #: Why there was nothing to do; empty for a step that did something.
    skipped: str = ""


def shorten(value: object, limit: int = 300) -> str:
    """Render something foreign for a sentence: one line, bounded, no control characters."""
    text = " ".join(clean_text(str(value)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
