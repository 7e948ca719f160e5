"""Which images of built revisions stay, and why. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from funai.deploy.revisions.model import RevisionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: An image whose deploy failed stays this long: the same commit may be deployed again at once.
FAILED_SECONDS = 3600
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
    #: Whether the app has a job that has not ended.
    is_busy: bool = False

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

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as it is printed."""
        return asdict(
            Entry(
                "image",
                self.row.name,
                self.action,
                f"revision {self.row.number} of app {self.row.app_id}: {self.why}",
            )
        )


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
    shared = {
        (row.repository, row.digest): row
        for row in ordered
        if (row.app_id, row.number) in wanted and row.digest
    }
    return [_judge(row, wanted, shared) for row in ordered if row.built and row.digest]


def _wanted(rows: list[Row], count: int) -> dict[tuple[str, int], str]:
    """Return why revisions of one app stay, by app and number."""
    whys = {_key(row): _why_needed(row) for row in rows}
    ran = [row for row in rows if row.state in _RAN and not row.purged]
    ran.sort(key=lambda row: (row.state is RevisionState.ACTIVE, row.activated_ms), reverse=True)
    for place, row in enumerate(ran[:count], start=1):
        whys[_key(row)] = whys[_key(row)] or f"number {place} of the last {count}"
    return {key: why for key, why in whys.items() if why}


def _why_needed(row: Row) -> str:
    """Return why a revision stays however old it is, or nothing."""
    failed_lately = row.state is RevisionState.FAILED and row.age_seconds < FAILED_SECONDS
    reasons = (
        (row.state is RevisionState.ACTIVE and not row.purged, "runs now"),
        (row.is_target, "a job that has not ended goes back to it"),
        (row.is_busy, "a job of the app is under way"),
        (
            failed_lately and not row.purged,
            f"its deploy failed less than {FAILED_SECONDS // 60} minutes ago",
        ),
    )
    return next((why for holds, why in reasons if holds), "")


def _judge(
    row: Row, wanted: dict[tuple[str, int], str], shared: dict[tuple[str, str], Row]
) -> Verdict:
    if why := wanted.get(_key(row)):
        return Verdict(row, "keep", why)
    if other := shared.get((row.repository, row.digest)):
        return Verdict(
            row, "keep", f"revision {other.number} of app {other.app_id} has the same image"
        )
    if row.purged:
        return Verdict(row, "remove", "its app was removed")
    if row.state is RevisionState.FAILED:
        return Verdict(row, "remove", "its deploy failed")
    return Verdict(row, "remove", "older than the revisions that are kept")


def _key(row: Row) -> tuple[str, int]:
    return row.app_id, row.number


def removals(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return what is to go."""
    return [verdict for verdict in verdicts if verdict.action == "remove"]
