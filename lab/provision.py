"""Run our playbooks against the lab, watch them, and know when a run would change nothing."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from lab import docs_site, hosts, layout, wheelhouse
from lab.process import LabError, follow

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.+?)\] \*")
_FATAL = re.compile(
    r"^(?:fatal|failed): \[(?P<host>[\w.-]+)[^\]]*\].*?(?:FAILED|UNREACHABLE)!(?P<rest>.*)"
)
_MESSAGE = re.compile(r"^\s*\"?msg\"?: (?P<text>.+)")
_ERROR = re.compile(r"^\[ERROR\]: (?P<text>.+)")
_STDERR = re.compile(r"^    stderr: (?P<text>.*)")
_BLOCK_LINE = re.compile(r"^        \s*(?P<text>\S.*)")
_RECAP = re.compile(r"^(?P<host>[\w.-]+)\s*: ok=\d+\s+changed=(?P<changed>\d+)")
_STAMP = layout.STATE / "converged"
#: What a run of site.yml depends on, beside the hosts and the archives.
_INPUTS = ("roles", "playbooks", "inventory", "library", "module_utils", "site.yml", "ansible.cfg")


@dataclass
class Trace:
    """What Ansible's output says: fed line by line, read at any time."""

    task: str = ""
    failed_host: str | None = None
    failed_task: str = ""
    reason: str = ""
    #: Last line that the failed task's program wrote to its standard error.
    said: str = ""
    #: Number of changes by host, known at the end.
    changed: dict[str, int] = field(default_factory=dict)
    _error: str = ""
    _in_stderr: bool = False

    def feed(self, line: str) -> None:
        """Take in one line of output."""
        if self.failed_host and self._feed_evidence(line):
            return
        if found := _TASK.match(line):
            self.task, self._error = found["name"], ""
        elif found := _RECAP.match(line):
            self.changed[found["host"]] = int(found["changed"])
        elif found := _ERROR.match(line):
            self._error = found["text"]
        elif (found := _FATAL.match(line)) and self.failed_host is None:
            self.failed_host, self.failed_task = found["host"], self.task
            self.reason = self._error

    def _feed_evidence(self, line: str) -> bool:
        """Take in a line of the failed task's result; False when it is none of interest."""
        if (found := _MESSAGE.match(line)) and not self.reason:
            self.reason = found["text"].strip().strip('",')
        elif found := _STDERR.match(line):
            self._in_stderr = True
            self.said = found["text"].strip("|->'\"")
        elif self._in_stderr and (found := _BLOCK_LINE.match(line)):
            # The last line is where a program says why it failed.
            self.said = found["text"]
        else:
            self._in_stderr = False
            return False
        return True

    def error(self, log: Path) -> LabError:
        """Return the failure as something to read; rescued failures never get here."""
        what = f"task '{self.failed_task}': {self.reason}" if self.failed_host else self._error
        what = f"{what}: {self.said}" if self.said else what
        reason = what.rstrip(": ") or "ansible-playbook failed before its first task"
        return LabError(reason, host=self.failed_host, log=log)


def environment() -> dict[str, str]:
    """Return the variables with which Ansible finds the lab, and nothing else."""
    sources = [str(layout.INVENTORY)]
    if layout.EXTRA_HOSTS.exists():
        sources.append(str(layout.EXTRA_HOSTS))
    return {
        "ANSIBLE_CONFIG": str(layout.ROOT / "ansible.cfg"),
        "ANSIBLE_INVENTORY": ",".join(sources),
        # What a job of CI or a login shell may have set must not reach the output that is read here.
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{layout.BIN}:{os.environ['PATH']}",
    }


def play(
    playbooks: Iterable[str],
    log_name: str,
    *options: str,
    note: Callable[[str], None] = lambda _: None,
) -> Trace:
    """Run ``playbooks``; return what happened, or raise with the host and task that failed."""
    hosts.require_bridge()
    log = layout.LOGS / f"{log_name}.log"
    trace = Trace()

    def watch(line: str) -> None:
        trace.feed(line)
        if line.startswith(("TASK", "RUNNING HANDLER")):
            note(trace.task)

    argv = [str(layout.BIN / "ansible-playbook"), *playbooks, *options]
    if follow(argv, log, env=environment(), cwd=layout.ROOT, on_line=watch) != 0:
        raise trace.error(log)
    return trace


def inputs_digest(container_ids: Iterable[str]) -> str:
    """Return a hash over all that decides what a run of site.yml would do."""
    files: list[tuple[str, Path]] = []
    for name in _INPUTS:
        path = layout.ROOT / name
        found = [path] if path.is_file() else wheelhouse.source_files(path)
        files += [(str(p.relative_to(layout.ROOT)), p) for p in found if "molecule" not in p.parts]
    files += [(s, wheelhouse.archive(s)) for s in wheelhouse.SERVICES]
    files.append(("docs", docs_site.ARCHIVE))
    files.append(("hosts", layout.EXTRA_HOSTS))
    return json.dumps([wheelhouse.digest_files(files), sorted(container_ids)])


def is_converged(digest: str) -> bool:
    """Tell whether the last run that succeeded had these inputs."""
    return _STAMP.exists() and _STAMP.read_text() == digest


def remember_converged(digest: str) -> None:
    """Note that site.yml succeeded with these inputs."""
    layout.write_private(_STAMP, digest.encode())


def forget_converged() -> None:
    """Make the next ``up`` run site.yml whatever its inputs."""
    _STAMP.unlink(missing_ok=True)
