"""A step's own look at the lease: tells Deploy the phase, and asks whether we may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.runner.client import CONFLICT, NOT_FOUND, OK, Answer, DeployClient
from funai.runner.errors import DeployUnreachableError
from funai.runner.steps.step import LEASE_LOST, Deadline, StepContext, StepError

if TYPE_CHECKING:
    from funai.runner.steps.job import DeployJob

#: A phase that is only told, not asked, may cost no more than this.
TELL_SECONDS = 2.0
ASK_SECONDS = 5.0
RETRY_SECONDS = 0.5
DEFAULT_LEASE_SECONDS = 30.0


class Standing:
    """Whether the job is still ours. Without an address of Deploy, as by hand, there is none to ask.

    A run by hand without Deploy is still fenced: the agent refuses a lower fence.

    :param pushed: what Deploy is told of the image that is in the registry
    """

    def __init__(
        self,
        context: StepContext,
        job_id: str,
        fence: int,
        pushed: dict[str, Any] | None = None,
    ) -> None:
        self._context = context
        self._job_id = job_id
        self._fence = fence
        self._pushed = pushed
        lease = context.record.get("leaseSeconds")
        self._lease_seconds = (
            float(lease) if isinstance(lease, int | float) else DEFAULT_LEASE_SECONDS
        )
        self._asked_at: float | None = None
        self._client = deploy_client(context)

    @classmethod
    def of(
        cls, context: StepContext, job: DeployJob, pushed: dict[str, Any] | None = None
    ) -> Standing:
        """Return the standing of a checked job."""
        return cls(context, job.job_id, job.fence, pushed)

    def tell(self, phase: str) -> None:
        """Tell Deploy which phase begins; that Deploy is away is no reason to stop.

        :raises StepError: ``LEASE_LOST`` when Deploy says so
        """
        if self._client is not None:
            try:
                self._judge(self._heartbeat(phase, TELL_SECONDS))
            except DeployUnreachableError:
                return

    def require(self, phase: str, deadline: Deadline) -> None:
        """Go on only once Deploy has said, within the last third of a lease, that the job is ours.

        :raises StepError: ``LEASE_LOST``, or ``DEPLOY_UNREACHABLE`` at the deadline
        """
        while self._client is not None and not self._is_fresh():
            why = "it does not say yes"
            sent_at = self._context.clock()
            try:
                if self._judge(self._heartbeat(phase, min(ASK_SECONDS, deadline.remaining))):
                    self._asked_at = sent_at
                    return
            except DeployUnreachableError as exc:
                why = str(exc)
            if not deadline.allows(RETRY_SECONDS):
                sentence = (
                    "Deploy could not be asked whether this job may still touch its node, so nothing"
                    " was changed there. Look after Deploy, then deploy again."
                )
                raise StepError(reason="DEPLOY_UNREACHABLE", sentence=sentence, evidence=why)
            self._context.pause(RETRY_SECONDS)

    def ask_again(self, phase: str, deadline: Deadline) -> None:
        """Go on only once Deploy has said so now, whatever it said a moment ago.

        :raises StepError: as for ``require``
        """
        self._asked_at = None
        self.require(phase, deadline)

    def _is_fresh(self) -> bool:
        if self._asked_at is None:
            return False
        return self._context.clock() - self._asked_at < self._lease_seconds / 3

    def _heartbeat(self, phase: str, timeout: float) -> Answer:
        assert self._client is not None  # noqa: S101 - both callers have looked
        return self._client.heartbeat(
            self._job_id,
            fence=self._fence,
            extend_seconds=self._lease_seconds,
            phase=phase,
            result=self._pushed,
            timeout=max(0.1, timeout),
        )

    def _judge(self, answer: Answer) -> bool:
        if answer.code in {CONFLICT, NOT_FOUND}:
            sentence = f"The job is no longer this runner's; Deploy says: {answer.message}"
            raise StepError(LEASE_LOST, sentence)
        return answer.code == OK


def deploy_client(context: StepContext) -> DeployClient | None:
    """Return a connection to the job's Deploy, or None where the job's file names none."""
    base_url, runner_id = context.record.get("deployBaseUrl"), context.record.get("runnerId")
    if not isinstance(base_url, str) or not base_url:
        return None
    token = context.read_secret("RUNNER_TOKEN_FILE")
    return DeployClient(base_url, token, str(runner_id or "by-hand"))
