"""Which images of built revisions stay, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from funai.deploy.revisions.model import RevisionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: An image whose deploy failed stays this long: the same commit may be deployed again at once.
FAILED_SECONDS = 3600
#: A registry that refused an image for good is asked again after this long.
REFUSED_SECONDS = 86_400
#: Events are kept so long, logs so long after their last line.
EVENT_DAYS = 90
LOG_DAYS = 30
_RAN = frozenset({RevisionState.ACTIVE, RevisionState.SUPERSEDED})
Action = Literal["keep", "remove"]


@dataclass(frozen=True)
class Row:
    """What retention reads of a revision."""

    app_id: str
    number: int
    state: RevisionState
    built: bool
    purged: bool
    #: Registry and path, without tag.
    repository: str
    tag: str
    digest: str
    #: Rises with each activation; 0 where it never was active.
    activated_ms: int
    age_seconds: int
    #: Whether a job that has not ended goes back to it.
    is_target: bool = False
    #: Whether a job that has not ended is of the app, or names the image's repository.
    is_busy: bool = False
    #: Why its registry lately refused to remove it, for good.
    refusal: str = ""
    #: Whether its node said that it serves, although its job did not succeed.
    serves: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What names the revision."""
        return self.app_id, self.number

    @property
    def image(self) -> tuple[str, str]:
        """What names the image: revisions that share it go and stay together."""
        return self.repository, self.digest

    @property
    def host(self) -> str:
        """The registry, with its port."""
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository within its registry."""
        return self.repository.partition("/")[2]

    @property
    def name(self) -> str:
        """How people know the image."""
        return f"{self.repository}:{self.tag or self.digest}"


@dataclass(frozen=True)
class Verdict:
    """What becomes of one thing, and why."""

    row: Row
    action: Action
    why: str

    @property
    def entry(self) -> Entry:
        """The verdict as it is shown."""
        why = f"revision {self.row.number} of app {self.row.app_id}: {self.why}"
        return Entry("image", self.row.name, self.action, why)


@dataclass(frozen=True)
class Entry:
    """One line of a prune's result."""

    kind: str
    name: str
    action: str
    why: str


def decide(rows: Sequence[Row], count: int) -> list[Verdict]:
    """Say of every built image whether it stays.

    :param rows: revisions that are not pruned, of any apps
    :param count: revisions of an app that stay deployable, the running one included
    """
    ordered = sorted(rows, key=lambda row: (row.app_id, row.number))
    wanted: dict[tuple[str, int], str] = {}
    for _, of_app in groupby(ordered, key=lambda row: row.app_id):
        wanted.update(_wanted(list(of_app), count))
    shared = {row.image: row for row in ordered if row.key in wanted and row.digest}
    return [_judge(row, wanted, shared) for row in ordered if row.built and row.digest]


def _wanted(rows: list[Row], count: int) -> dict[tuple[str, int], str]:
    """Return why revisions of one app stay, by app and number."""
    whys = {row.key: _why_needed(row) for row in rows}
    ran = [row for row in rows if row.state in _RAN and not row.purged]
    ran.sort(key=lambda row: (row.state is RevisionState.ACTIVE, row.activated_ms), reverse=True)
    for place, row in enumerate(ran[:count], start=1):
        whys[row.key] = whys[row.key] or f"number {place} of the last {count}"
    return {key: why for key, why in whys.items() if why}


def _why_needed(row: Row) -> str:
    """Return why a revision stays however old it is, or nothing."""
    failed_lately = row.state is RevisionState.FAILED and row.age_seconds < FAILED_SECONDS
    reasons = (
        (row.state is RevisionState.ACTIVE and not row.purged, "runs now"),
        (row.is_target, "a job that has not ended goes back to it"),
        (row.serves and not row.purged, "it serves, although its job did not succeed"),
        (row.is_busy, "a job is under way that may need it"),
        (
            failed_lately and not row.purged,
            f"its deploy failed less than {FAILED_SECONDS // 60} minutes ago",
        ),
    )
    return next((why for holds, why in reasons if holds), "")


def _judge(
    row: Row, wanted: dict[tuple[str, int], str], shared: dict[tuple[str, str], Row]
) -> Verdict:
    other = shared.get(row.image)
    same = f"revision {other.number} of app {other.app_id} has the same image" if other else ""
    if why := wanted.get(row.key) or same or row.refusal:
        return Verdict(row, "keep", why)
    return Verdict(row, "remove", _why_not_needed(row))


def _why_not_needed(row: Row) -> str:
    if row.purged:
        return "its app was removed"
    if row.state is RevisionState.FAILED:
        return "its deploy failed"
    return "older than the revisions that are kept"


def removals(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return what is to go."""
    return [verdict for verdict in verdicts if verdict.action == "remove"]
