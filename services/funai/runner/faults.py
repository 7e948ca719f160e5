"""What is said of a job for which the runner could start no child. Pure."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from funai.runner.errors import ExecutionError
from funai.runner.model import FAILED, Outcome, error_text

if TYPE_CHECKING:
    from funai.runner.config import Settings
    from funai.runner.model import ClaimedJob

#: What a host raises that is out of disk, descriptors, processes or threads (a RuntimeError).
BROKEN = (ExecutionError, OSError, RuntimeError)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def told(error: Exception, job: ClaimedJob, settings: Settings) -> Outcome:
    """Return the end of a job whose last attempt got no child."""
    reason, remedy = "RUNNER_BROKEN", "see that runner's journal and its host's limits"
    if isinstance(error, OSError) and error.errno in _FULL:
        reason, remedy = "RUNNER_DISK_FULL", f"free space under {settings.state_dir} on its host"
    sentence = (
        f"Runner {settings.runner_id} could not begin attempt {job.attempt} at the job, the last"
        f" one. It is the runner that needs a look, not the app: {remedy}, then deploy again."
    )
    return Outcome(
        job_id=job.job_id,
        fence=job.fence,
        status=FAILED,
        reason=reason,
        error_message=error_text(sentence, str(error)),
    )
