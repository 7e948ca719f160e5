"""Status and health words, as they cross the wire."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is in its life."""

    PENDING = "PENDING"  #: waits for a runner
    RUNNING = "RUNNING"  #: a runner holds the lease, or its lease ran out and it waits for the next
    SUCCEEDED = "SUCCEEDED"  #: ended: the new revision answers
    FAILED = "FAILED"  #: ended: ``errorMessage`` says why
    CANCELLED = "CANCELLED"  #: ended: by its caller, or by a newer job (``reasonCode``)

    @property
    def ended(self) -> bool:
        """Whether nothing changes any more."""
        return self not in ACTIVE


#: A job in one of these occupies its app.
ACTIVE = frozenset({JobStatus.PENDING, JobStatus.RUNNING})
#: Beside the job statuses, the one other word of ``app_run.last_job_status``.
STOPPED = "STOPPED"
JOB_TYPE = "BUILD_AND_DEPLOY"


class Phase(StrEnum):
    """Phases that runners name in heartbeats; others are kept as they come."""

    CLONE = "CLONE"
    BUILD = "BUILD"
    PUSH = "PUSH"
    DEPLOY = "DEPLOY"


class NodeHealth(StrEnum):
    """What Deploy thinks of a node."""

    HEALTHY = "HEALTHY"  #: enabled, heard of lately, with room
    STALE = "STALE"  #: no heartbeat for longer than Deploy tolerates
    UNHEALTHY = "UNHEALTHY"  #: below the floor of free disk
    DRAINING = "DRAINING"  #: a drain left apps on it; takes no new ones
    DISABLED = "DISABLED"  #: an operator took it out
