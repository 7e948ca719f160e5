"""Delivers outcomes to Deploy: again and again until Deploy has said yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.runner.client import CONFLICT, NOT_FOUND, OK, Answer, DeployClient
from funai.runner.errors import DeployUnreachableError
from funai.runner.heartbeat import Backoff

if TYPE_CHECKING:
    import threading

    from funai.runner.journal import Journal, Reachability
    from funai.runner.model import Outcome

#: Deploy understood the report and will never take it: the job is ended, another's, or unknown,
#: or the report itself is refused as invalid. Repeating it would change nothing.
FINAL_CODES = frozenset({OK, CONFLICT, NOT_FOUND, 400, 422})


def report_body(outcome: Outcome) -> dict[str, Any]:
    """Render an outcome for the wire (contract, section 3)."""
    body: dict[str, Any] = {
        "status": outcome.status,
        "result": {**outcome.result, "phases": list(outcome.phases)},
    }
    if outcome.fence:
        body["fence"] = outcome.fence
    if outcome.error_message:
        body["errorMessage"] = outcome.error_message
    if outcome.reason:
        body["reason"] = outcome.reason
    return body


class Reporter:
    """Reports in the name of this runner."""

    def __init__(self, journal: Journal, reachability: Reachability, stop: threading.Event) -> None:
        self._journal = journal
        self._reachability = reachability
        self._stop = stop

    def deliver(self, client: DeployClient, outcome: Outcome) -> bool:
        """Report until Deploy's answer is final; False when the runner stops before that."""
        backoff = Backoff()
        while True:
            answer = self._try(client, outcome)
            if answer is not None and answer.code in FINAL_CODES:
                self._journal.write(
                    "reported",
                    jobId=outcome.job_id,
                    fence=outcome.fence,
                    status=outcome.status,
                    reason=outcome.reason or None,
                    answer=answer.code,
                    message=answer.message,
                )
                return True
            if self._stop.wait(backoff.pause()):
                return False

    def _try(self, client: DeployClient, outcome: Outcome) -> Answer | None:
        try:
            answer = client.report(outcome.job_id, report_body(outcome))
        except DeployUnreachableError as exc:
            self._reachability.lost(str(exc))
            return None
        if answer.code in FINAL_CODES:
            self._reachability.found()
        else:
            self._reachability.lost(f"report was answered {answer.code}: {answer.message}")
        return answer
