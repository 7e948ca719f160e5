"""Deploy's words for states, as people say them, and how good each is. Pure."""

from __future__ import annotations

#: Styles of the terminal by how good something is.
GOOD, BUSY, QUIET, BAD = "green", "yellow", "dim", "bold red"

_JOB = {
    "PENDING": ("waiting", BUSY),
    "RUNNING": ("running", BUSY),
    "SUCCEEDED": ("succeeded", GOOD),
    "FAILED": ("failed", BAD),
    "CANCELLED": ("cancelled", QUIET),
}
_APP = {
    "RUNNING": ("running", GOOD),
    "DEPLOYING": ("deploying", BUSY),
    "STOPPED": ("stopped", QUIET),
    "NOT_RUNNING": ("never ran", BAD),
}
_HEALTH = {
    "HEALTHY": ("healthy", GOOD),
    "STALE": ("no heartbeat", BAD),
    "UNHEALTHY": ("disk nearly full", BAD),
    "DRAINING": ("draining", BUSY),
    "DISABLED": ("disabled", QUIET),
}


def _look_up(table: dict[str, tuple[str, str]], word: str) -> tuple[str, str]:
    """Return a state's words and style; one of a later Deploy is shown as it came."""
    return table.get(word, (word.lower().replace("_", " "), BUSY))


def job(status: str) -> tuple[str, str]:
    """Return words and style of a job's status."""
    return _look_up(_JOB, status)


def app(state: str, *, paused: bool = False) -> tuple[str, str]:
    """Return words and style of an app's state."""
    word, style = _look_up(_APP, state)
    return (f"{word}, paused", BAD) if paused else (word, style)


def health(word: str) -> tuple[str, str]:
    """Return words and style of a node's or a runner's health."""
    return _look_up(_HEALTH, word)
