"""One attempt at one claimed job: start its child, watch it under the lease, report."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from funai.runner.errors import DeployUnreachableError
from funai.runner.faults import BROKEN, told
from funai.runner.heartbeat import SHORTEST_LEASE_SECONDS, LeaseKeeper
from funai.runner.log_shipper import LogShipper
from funai.runner.model import ABANDONED, FAILED, ClaimedJob, Outcome, error_text
from funai.runner.output import JobOutput
from funai.runner.redaction import Redactor, secrets_of_files
from funai.runner.steps.job import builds
from funai.runner.steps.progress import pushed_of, read_steps, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.runner.client import DeployClient
    from funai.runner.config import Settings
    from funai.runner.execution import Child, Execution
    from funai.runner.journal import Journal, Reachability
    from funai.runner.lease import Clock, Lease
    from funai.runner.report import Reporter
    from funai.runner.workspace import JobFolder, StateDir

#: Between SIGTERM and SIGKILL, and then until the execution itself is restarted.
TERM_SECONDS = 2.0
KILL_SECONDS = 5.0
#: On top of the deadlines of all steps, for Ansible's own part and the best-effort heartbeats.
EXTRA_SECONDS = 60.0
#: For a word to Deploy that is worth no more time.
TELL_SECONDS = 2.0
#: Tasks that a job which brings its image does not need.
SOURCE_TAGS = ("source",)
#: A host that was suspended must notice on waking up, whatever it was waiting for.
LONGEST_SLEEP_SECONDS = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What all attempts of a runner share."""

    settings: Settings
    state: StateDir
    execution: Execution
    journal: Journal
    reachability: Reachability
    reporter: Reporter
    new_client: Callable[[], DeployClient]
    clock: Clock


class Attempt:
    """Runs in a thread of its own, from the claim to Deploy's acknowledgement."""

    def __init__(self, job: ClaimedJob, lease: Lease, around: Surroundings) -> None:
        self.job = job
        self._lease = lease
        self._around = around
        self._wake = threading.Event()
        self._stopping = False
        #: Set once the child runs, or it is known that none will.
        self.settled = threading.Event()
        #: Why no child could be started, which is the runner's fault.
        self.trouble = ""
        payload = job.record.get("payload")
        self._builds = isinstance(payload, dict) and builds(payload)
        self._ends_at = around.clock() + self._longest_seconds()

    def stop(self) -> None:
        """Kill the child and leave the job to its lease: the runner has to go."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Do the whole attempt. What goes wrong is in the journal, never an exception."""
        client = self._around.new_client()
        try:
            with self._keeper:
                self._run(client)
        except BROKEN as exc:
            if self.settled.is_set():
                raise
            self.refuse(exc)
        finally:
            self.settled.set()
            client.close()

    def refuse(self, error: Exception) -> None:
        """Let others have the job, which gets no child here; in its last attempt say why."""
        self.trouble = f"no child could be started: {error}"
        self._folder.remove()
        others_may = self.job.attempt < self.job.max_attempts
        if others_may or self._lease.refusal or self._stopping:
            self._write("left_to_lease", why=self.trouble)
            self._keeper.give_back()
        else:
            self._report(told(error, self.job, self._around.settings))
        self.settled.set()

    def _run(self, client: DeployClient) -> None:
        folder = self._folder
        folder.create(self._job_file(folder))
        try:
            outcome, why = self._execute(folder)
        except BROKEN as exc:
            if not self.settled.is_set():
                raise
            outcome, why = None, f"the runner lost the child: {exc}"
        self._log_deploy_calls(folder)
        if outcome is None:
            self._tell_pushed(client, folder)
            folder.remove()
            self._write("left_to_lease", why=why)
        elif self._around.reporter.deliver(client, outcome):
            folder.remove()
        self._around.state.prune_logs()

    @cached_property
    def _folder(self) -> JobFolder:
        folder = self._around.state.folder(self.job.job_id, self.job.fence)
        return folder if self._builds else replace(folder, skipped_tags=SOURCE_TAGS)

    @cached_property
    def _keeper(self) -> LeaseKeeper:
        around = self._around
        return LeaseKeeper(
            self.job,
            self._lease,
            around.new_client(),
            around.reachability,
            around.clock,
            self._wake.set,
        )

    def _report(self, outcome: Outcome) -> None:
        client = self._around.new_client()
        try:
            self._around.reporter.deliver(client, outcome)
        finally:
            client.close()

    def _execute(self, folder: JobFolder) -> tuple[Outcome | None, str]:
        """Run the child; return the outcome to report, or None and why there is none."""
        settings = self._around.settings
        secrets = (settings.token, settings.runtime_token, *secrets_of_files(settings.build))
        output = JobOutput(folder, settings.log_bytes, Redactor(secrets), self._new_shipper)
        try:
            child = self._around.execution.start(folder, output.descriptor(), self._wake.set)
            self.settled.set()
            why = self._watch(child)
            if why:
                self._end(child, why)
        finally:
            # Who lost the lease has nothing more to say.
            output.close(is_shipped=not self._lease.loss)
        if self._lease.refusal or (why and self._lease.loss):
            return None, self._lease.loss
        if self._stopping and why:
            return None, why
        # An end of its own counts even if Deploy has been silent since: the fence guards the report.
        return self._outcome(folder, child, why)

    def _new_shipper(self) -> LogShipper:
        def note(why: str) -> None:
            self._write("log_not_taken", why=why)

        return LogShipper(self.job, self._around.new_client(), note)

    def _longest_seconds(self) -> float:
        """Return how long all steps of the job together may take."""
        settings = self._around.settings
        seconds = settings.deploy_timeout_seconds + settings.verify_timeout_seconds + EXTRA_SECONDS
        if self._builds:
            seconds += settings.fetch_timeout_seconds
            seconds += settings.build_timeout_seconds + settings.push_timeout_seconds
        return seconds

    def _watch(self, child: Child) -> str:
        """Wait for the child's end; return why it must be ended before, or nothing."""
        while True:
            self._wake.clear()
            if child.returncode is not None:
                return ""
            if loss := self._lease.loss:
                # For good: a heartbeat that is answered while the child is killed comes too late.
                self._lease.lose(loss)
                return loss
            if why := self._overdue():
                return why
            self._wake.wait(min(self._lease.seconds_to_abandon(), LONGEST_SLEEP_SECONDS))

    def _overdue(self) -> str:
        if self._stopping:
            return "the runner is stopping"
        if self._around.clock() >= self._ends_at:
            return "the job took longer than all its steps together may"
        return ""

    def _end(self, child: Child, why: str) -> None:
        self._write("killing", why=why, pid=child.pid)
        child.signal(signal.SIGTERM)
        if child.wait(TERM_SECONDS):
            return
        child.signal(signal.SIGKILL)
        if not child.wait(KILL_SECONDS):
            self._around.execution.restart()

    def _outcome(self, folder: JobFolder, child: Child, why: str) -> tuple[Outcome | None, str]:
        """Decide what is reported once the child has ended and the lease is still held."""
        outcome = folder.read_outcome()
        if outcome is not None and outcome.status == ABANDONED:
            return None, outcome.error_message
        if outcome is not None:
            return outcome, ""
        if why:
            return self._failed("JOB_OVERDUE", f"The runner ended the job: {why}.", folder), ""
        if child.returncode is None or child.returncode < 0:
            # Killed from outside, as by the kernel short of memory: another attempt may do.
            return None, f"the child was ended by signal {-(child.returncode or 0)}"
        sentence = (
            f"The playbook ended with status {child.returncode} and left no outcome. It is the"
            " runner's installation that needs a look, not the app; the log's end follows."
        )
        return self._failed("RUNNER_BROKEN", sentence, folder), ""

    def _failed(self, reason: str, sentence: str, folder: JobFolder) -> Outcome:
        return Outcome(
            job_id=self.job.job_id,
            fence=self.job.fence,
            status=FAILED,
            reason=reason,
            error_message=error_text(sentence, folder.log_tail()),
            result=result_of(read_steps(folder.job_file)),
        )

    def _job_file(self, folder: JobFolder) -> dict[str, Any]:
        settings, record = self._around.settings, self.job.record
        kept = ("type", "payload", "runtimeNode", "deployUrl", "revision")
        return {
            **{name: record.get(name) for name in kept},
            "jobId": self.job.job_id,
            "fence": self.job.fence,
            "attempt": self.job.attempt,
            "leaseSeconds": self.job.lease_seconds,
            "runnerId": settings.runner_id,
            "deployBaseUrl": settings.deploy_url,
            "supervised": True,
            "logPipe": str(folder.pipe),
            "build": settings.build.to_json(),
            "limits": {
                "fetchSeconds": settings.fetch_timeout_seconds,
                "buildSeconds": settings.build_timeout_seconds,
                "pushSeconds": settings.push_timeout_seconds,
                "deploySeconds": settings.deploy_timeout_seconds,
                "readySeconds": settings.ready_seconds,
                "verifySeconds": settings.verify_timeout_seconds,
            },
        }

    def _log_deploy_calls(self, folder: JobFolder) -> None:
        for step in read_steps(folder.job_file):
            if step.answer:
                self._write(
                    "deploy_called",
                    agentBaseUrl=self.job.agent_base_url,
                    answer=step.answer,
                    calls=step.calls,
                    seconds=step.seconds,
                )

    def _tell_pushed(self, client: DeployClient, folder: JobFolder) -> None:
        """Name the image that is in the registry, so that it can be removed: no report does.

        Deploy takes that also of a job that has ended. One that has not goes to its next attempt.
        """
        pushed = pushed_of(folder.job_file)
        if not pushed:
            return
        with contextlib.suppress(DeployUnreachableError):
            client.heartbeat(
                self.job.job_id,
                fence=self.job.fence,
                extend_seconds=SHORTEST_LEASE_SECONDS,
                result=pushed,
                timeout=TELL_SECONDS,
            )

    def _write(self, event: str, **fields: object) -> None:
        job = self.job
        self._around.journal.write(
            event, jobId=job.job_id, appId=job.app_id, fence=job.fence, **fields
        )
