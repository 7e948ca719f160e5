"""Starts and ends the children that run playbooks.

Two ways with one result: ``ForkedExecution`` asks the zygote, ``ColdExecution`` starts a plain
``ansible-playbook``. Both run the same file with the same arguments in the job's folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from funai.runner.errors import ExecutionError
from funai.runner.zygote_client import ZygoteClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from funai.runner.workspace import JobFolder

PLAYBOOK = "deploy_app.yml"
#: What a child gets of the runner's environment; everything else stays behind.
KEPT_VARIABLES = ("PATH", "TZ", "LD_LIBRARY_PATH")


class Child(Protocol):
    """A running playbook."""

    @property
    def pid(self) -> int | None:
        """The process, also its group and session; None while that is not known."""

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it or it was lost with the zygote."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group; nothing happens once it has ended."""

    def wait(self, timeout: float) -> bool:
        """Wait for the end; False when the time is up before."""


class Execution(Protocol):
    """A way to run playbooks."""

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Child:
        """Start the playbook on a folder's job file; ``output`` is closed by the callee.

        :raises ExecutionError: when no child can be started at present
        """

    def restart(self) -> None:
        """Kill everything that runs and begin anew: for a child that would not end."""

    def close(self) -> None:
        """Kill everything that runs."""


def playbook_argv(bundle_dir: Path, folder: JobFolder) -> list[str]:
    """Return the arguments of ``ansible-playbook``. The file's path is ours, never a user's."""
    skipped = ["--skip-tags", ",".join(folder.skipped_tags)] if folder.skipped_tags else []
    return [
        "ansible-playbook",
        "-i",
        "localhost,",
        "-e",
        f"job_file={folder.job_file}",
        *skipped,
        str(bundle_dir / PLAYBOOK),
    ]


def child_environment(
    env: Mapping[str, str], bundle_dir: Path, state_dir: Path, secret_files: Mapping[str, int]
) -> dict[str, str]:
    """Return the environment of Ansible's processes: small, the same for both ways, no secrets.

    :param secret_files: variable name -> descriptor that the child inherits and may read
    """
    kept = {name: env[name] for name in KEPT_VARIABLES if name in env}
    files = {name: f"/proc/self/fd/{number}" for name, number in secret_files.items()}
    return {
        **kept,
        **files,
        "LC_ALL": "C.UTF-8",
        "HOME": str(state_dir),
        "ANSIBLE_CONFIG": str(bundle_dir / "ansible.cfg"),
        "ANSIBLE_HOME": str(state_dir / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(state_dir / "ansible" / "tmp"),
    }


class ForkedExecution:
    """Children forked from a process that has Ansible loaded."""

    def __init__(self, env: Mapping[str, str], bundle_dir: Path, pass_fds: Sequence[int]) -> None:
        self._bundle_dir = bundle_dir
        self._zygote = ZygoteClient(env, pass_fds)

    @property
    def zygote_pid(self) -> int:
        """The process that forks."""
        return self._zygote.pid

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Child:
        """See ``Execution``."""
        argv = playbook_argv(self._bundle_dir, folder)
        try:
            return self._zygote.start(argv, folder.path, output, on_exit)
        finally:
            os.close(output)

    def restart(self) -> None:
        """Kill the zygote; the kernel kills its children. The next one is started at once."""
        self._zygote.kill()

    def close(self) -> None:
        """See ``Execution``."""
        self._zygote.close()


class ColdChild:
    """One ``ansible-playbook`` process."""

    def __init__(self, process: subprocess.Popen[bytes], on_exit: Callable[[], None]) -> None:
        self._process = process
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._on_exit = on_exit
        threading.Thread(target=self._reap, name=f"reap-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """See ``Child``."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """See ``Child``."""
        return self._process.returncode if self._ended.is_set() else None

    def signal(self, number: signal.Signals) -> None:
        """See ``Child``."""
        with self._lock:
            if self._process.returncode is None:
                os.killpg(self._process.pid, number)

    def wait(self, timeout: float) -> bool:
        """See ``Child``."""
        return self._ended.wait(timeout)

    def _reap(self) -> None:
        # Wait without reaping first: until poll() below the pid cannot become another's.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._process.wait()
        self._ended.set()
        self._on_exit()


class ColdExecution:
    """Each job a new ``ansible-playbook``, as a person would start it."""

    def __init__(self, env: Mapping[str, str], bundle_dir: Path, pass_fds: Sequence[int]) -> None:
        self._env = dict(env)
        self._bundle_dir = bundle_dir
        self._pass_fds = tuple(pass_fds)
        self._children: list[ColdChild] = []
        self._lock = threading.Lock()

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Child:
        """See ``Execution``."""
        program, *arguments = playbook_argv(self._bundle_dir, folder)
        # setpriv has the kernel end the child with this thread, which lives as long as the job.
        command = ["setpriv", "--pdeathsig", "KILL", "--"]
        command += [str(Path(sys.executable).with_name(program)), *arguments]
        try:
            process = subprocess.Popen(  # noqa: S603 - fixed program, arguments are ours
                command,
                cwd=folder.path,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._pass_fds,
                start_new_session=True,
            )
        except OSError as exc:
            msg = f"cannot start ansible-playbook: {exc}"
            raise ExecutionError(msg) from exc
        finally:
            os.close(output)
        child = ColdChild(process, on_exit)
        with self._lock:
            self._children = [c for c in self._children if c.returncode is None] + [child]
        return child

    def restart(self) -> None:
        """See ``Execution``."""
        self.close()

    def close(self) -> None:
        """See ``Execution``."""
        with self._lock:
            children = list(self._children)
        for child in children:
            child.signal(signal.SIGKILL)
