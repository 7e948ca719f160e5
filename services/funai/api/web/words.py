"""How apps, jobs, phases and nodes stand, in words that people read, with a colour and an icon."""

from __future__ import annotations

from dataclasses import dataclass

from funai.api.web.language import later


@dataclass(frozen=True)
class Mark:
    """A word for a state; ``text`` is a msgid."""

    text: str
    colour: str
    icon: str


_GREY = "grey"
UNKNOWN = Mark(later("Unknown"), _GREY, "minus")
NEVER = Mark(later("Not deployed yet"), _GREY, "minus")
PAUSED = Mark(later("Paused"), "amber", "pause")

APP_STATES = {
    "RUNNING": Mark(later("Running"), "green", "check"),
    "DEPLOYING": Mark(later("Deploying"), "blue", "spin"),
    "STOPPED": Mark(later("Stopped"), _GREY, "stop"),
    "NOT_RUNNING": NEVER,
}
JOB_STATES = {
    "PENDING": Mark(later("Waiting"), "amber", "clock"),
    "RUNNING": Mark(later("Running"), "blue", "spin"),
    "SUCCEEDED": Mark(later("Succeeded"), "green", "check"),
    "FAILED": Mark(later("Failed"), "red", "cross"),
    "CANCELLED": Mark(later("Cancelled"), _GREY, "minus"),
}
REVISION_STATES = {
    "ACTIVE": Mark(later("Serves now"), "green", "check"),
    "SUPERSEDED": Mark(later("Can be gone back to"), _GREY, "clock"),
    "FAILED": Mark(later("Never ran"), "red", "cross"),
    "PRUNED": Mark(later("Image removed"), _GREY, "bin"),
}
STEP_STATES = {
    "done": Mark(later("done"), "green", "check"),
    "now": Mark(later("being done"), "blue", "spin"),
    "failed": Mark(later("failed"), "red", "cross"),
    "ended": Mark(later("ended here"), "amber", "minus"),
    "next": Mark(later("still to come"), _GREY, "clock"),
}

PHASES = {
    "QUEUED": later("Waiting in the queue"),
    "START": later("Starting"),
    "VALIDATE": later("Checking the job"),
    "CLONE": later("Fetching the source"),
    "BUILD": later("Building the image"),
    "PUSH": later("Pushing the image"),
    "DEPLOY": later("Starting the new version"),
    "VERIFY": later("Asking the app whether it is well"),
    "REPORT": later("Reporting"),
}


def app_mark(standing: dict[str, object] | None) -> Mark:
    """Return how an app stands.

    :param standing: as Deploy has it; None: Deploy never heard of the app
    """
    if standing is None:
        return NEVER
    if standing.get("paused"):
        return PAUSED
    return APP_STATES.get(str(standing.get("state")), UNKNOWN)


def job_mark(status: object) -> Mark:
    """Return how a job stands."""
    return JOB_STATES.get(str(status), UNKNOWN)


def phase_name(phase: str) -> str:
    """Return a phase's name as a msgid; one that we do not know stays as it is."""
    return PHASES.get(phase, phase)


def revision_mark(state: object) -> Mark:
    """Return how a revision stands."""
    return REVISION_STATES.get(str(state), UNKNOWN)


def step_mark(state: object) -> Mark:
    """Return how a step of a job stands."""
    return STEP_STATES[str(state)]
