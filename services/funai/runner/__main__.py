"""Run the runner: ``funai-runner``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from funai.runner.attempt import Surroundings
from funai.runner.client import DeployClient
from funai.runner.config import Settings
from funai.runner.confinement import leave_no_core, secret_file
from funai.runner.errors import ConfigError, ExecutionError, RunnerError
from funai.runner.execution import ColdExecution, ForkedExecution, child_environment
from funai.runner.journal import Journal, Reachability
from funai.runner.lease import boot_clock
from funai.runner.loop import Supervisor
from funai.runner.report import Reporter
from funai.runner.workspace import StateDir

if TYPE_CHECKING:
    from funai.runner.execution import Execution

PRIVATE_UMASK = 0o077


def main() -> None:
    """Run until SIGTERM; otherwise end with one sentence and a status.

    Status 2: a setting is wrong and stays so until somebody corrects it; 1: it may help to start
    again.
    """
    os.umask(PRIVATE_UMASK)
    leave_no_core()
    try:
        settings = Settings.from_env(os.environ, hostname=socket.gethostname())
        run(settings)
    except RunnerError as exc:
        sys.stderr.write(f"funai-runner: {exc}\n")
        sys.exit(2 if isinstance(exc, ConfigError) else 1)


def run(settings: Settings) -> None:
    """Wire the parts together and serve until a signal."""
    stop = threading.Event()
    signalled, write_end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Setting an Event in a handler could meet its own lock; writing to a pipe cannot.
        signal.signal(number, lambda _number, _frame: os.write(write_end, b"."))
    state = StateDir(settings.state_dir, kept_logs=settings.kept_logs)
    execution = start_execution(settings)
    journal = Journal()
    reachability = Reachability(journal)
    around = Surroundings(
        settings=settings,
        state=state,
        execution=execution,
        journal=journal,
        reachability=reachability,
        reporter=Reporter(journal, reachability, stop),
        new_client=lambda: DeployClient(settings.deploy_url, settings.token, settings.runner_id),
        clock=boot_clock,
    )
    supervisor = Supervisor(around, stop)
    supervisor.start()
    journal.write("started", runnerId=settings.runner_id, execution=settings.execution)
    os.read(signalled, 1)
    stop.set()
    journal.write("stopping")
    supervisor.finish()
    execution.close()
    journal.write("stopped")


def start_execution(settings: Settings) -> Execution:
    """Start the configured way to run playbooks.

    :raises ExecutionError: when the bundle or Ansible is not there
    """
    playbook = settings.bundle_dir / "deploy_app.yml"
    if not playbook.is_file():
        msg = (
            f"{playbook} is not there; RUNNER_BUNDLE_DIR must name the folder of the job playbooks"
        )
        raise ExecutionError(msg)
    secret_files = {
        "RUNNER_TOKEN_FILE": secret_file("runner-token", settings.token),
        "RUNNER_RUNTIME_TOKEN_FILE": secret_file("runtime-token", settings.runtime_token),
    }
    env = child_environment(os.environ, settings.bundle_dir, settings.state_dir, secret_files)
    descriptors = tuple(secret_files.values())
    if settings.execution == "cold":
        return ColdExecution(env, settings.bundle_dir, descriptors)
    execution = ForkedExecution(env, settings.bundle_dir, descriptors)
    _ = execution.zygote_pid  # waits until Ansible is loaded, or says that it never was
    return execution


if __name__ == "__main__":
    main()
