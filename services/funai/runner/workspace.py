"""The runner's state directory: one folder per running job, outcomes not yet reported, old logs.

lock                         held by the one runner process that uses the directory
jobs/<jobId>.<fence>/        job.json, job.steps.jsonl, job.outcome.json, job.log (a pipe), and what
                             the steps leave for each other; gone once reported
logs/<jobId>.<fence>.log     the newest ``kept_logs``
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.runner.errors import StateInUseError
from funai.runner.model import Outcome

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600
TAIL_BYTES = 2048


@dataclass(frozen=True)
class JobFolder:
    """Where one attempt at a job works."""

    path: Path
    log: Path
    #: Tags of the tasks that this attempt leaves out.
    skipped_tags: tuple[str, ...] = ()

    @property
    def pipe(self) -> Path:
        """Where the steps write what they do, as it happens."""
        return self.path / "job.log"

    @property
    def job_file(self) -> Path:
        """What the steps read."""
        return self.path / "job.json"

    def create(self, record: dict[str, Any]) -> None:
        """Make the folder, empty but for its job file."""
        self.remove()
        self.path.mkdir(mode=PRIVATE_DIR)
        write_private(self.job_file, record)

    def read_outcome(self) -> Outcome | None:
        """Return what the last step wrote; None if it did not get that far."""
        return read_outcome(self.job_file)

    def log_tail(self) -> str:
        """Return the end of the child's output, as evidence."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def remove(self) -> None:
        """Delete the folder; the log stays."""
        shutil.rmtree(self.path, ignore_errors=True)


class StateDir:
    """The state directory, held by this process until it ends."""

    def __init__(self, path: Path, *, kept_logs: int) -> None:
        """Create what is missing and take the lock.

        :raises StateInUseError: when another runner uses the directory
        """
        self._jobs, self._logs = path / "jobs", path / "logs"
        self._kept_logs = kept_logs
        for folder in (path, self._jobs, self._logs, path / "ansible"):
            folder.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        self._lock = (path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self._lock.close()
            msg = f"Another runner uses {path}; stop it or give this one its own RUNNER_STATE_DIR"
            raise StateInUseError(msg) from exc

    def folder(self, job_id: str, fence: int) -> JobFolder:
        """Return the folder of one attempt, which need not exist yet."""
        return self._folder(f"{job_id}.{fence}")

    def leftovers(self) -> list[JobFolder]:
        """Return the folders that an earlier run of this runner left, by name."""
        return [self._folder(path.name) for path in sorted(self._jobs.iterdir())]

    def prune_logs(self) -> None:
        """Delete all logs but the newest ``kept_logs``."""
        logs = sorted(self._logs.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in logs[self._kept_logs :]:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def _folder(self, name: str) -> JobFolder:
        return JobFolder(self._jobs / name, self._logs / f"{name}.log")


def outcome_file(job_file: Path) -> Path:
    """Return where the outcome of a job file's attempt is written: beside it."""
    return job_file.with_suffix(".outcome.json")


def read_outcome(job_file: Path) -> Outcome | None:
    """Return the complete outcome beside a job file, or None."""
    try:
        return Outcome.from_json(json.loads(outcome_file(job_file).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only we may read, whole or not at all, also across a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
