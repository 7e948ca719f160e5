"""The process that has Ansible loaded and forks one child per job.

``python -m funai.runner.zygote FD``: FD is one end of a SOCK_SEQPACKET pair, the supervisor has the
other. It has no threads, so that a fork is safe, and it ends when the supervisor does, however that
ends (docs/decisions/0020-forked-jobs.md).

Requests:  {"op": "start", "key", "argv", "cwd"} with the descriptor of the child's output;
           {"op": "signal", "key", "signal"}
Answers:   {"event": "ready"}, {"event": "started", "key", "pid"},
           {"event": "exited", "key", "returncode"}   (negative: ended by that signal),
           {"event": "refused", "key", "why"}   (no child could be forked)
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from funai.runner.confinement import die_with_parent

MAX_MESSAGE_BYTES = 65536
#: What a job imports on top of ``ansible.cli.playbook``; loaded once here instead of in each child.
PRELOADED = (
    "multiprocessing.popen_fork",
    "multiprocessing.synchronize",
    "ansible.executor.playbook_executor",
    "ansible.executor.process.worker",
    "ansible.playbook.handler_task_include",
    "ansible.plugins.action",
    "ansible.plugins.strategy.linear",
    "ansible.plugins.inventory.host_list",
    "ansible.plugins.vars.host_group_vars",
    "ansible.plugins.filter.core",
    "ansible.plugins.test.core",
    "ansible.plugins.cache.memory",
    "funai.runner.steps.action",
    "funai.runner.steps.build",
    "funai.runner.steps.deploy",
    "funai.runner.steps.fetch",
    "funai.runner.steps.push",
    "funai.runner.steps.report",
    "funai.runner.steps.validate",
    "funai.runner.steps.verify",
)
PRELOADED_PLUGINS = ("connection_loader", "shell_loader", "become_loader", "callback_loader")


class Zygote:
    """Answers the supervisor's requests, one at a time."""

    def __init__(self, channel: socket.socket, wakeup: socket.socket) -> None:
        self._channel = channel
        self._wakeup = wakeup
        self._keys: dict[int, str] = {}

    def serve(self) -> None:
        """Serve until the supervisor is gone."""
        self._send({"event": "ready"})
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wakeup in ready:
                    self._reap()
                if self._channel in ready and not self._answer():
                    return

    def _answer(self) -> bool:
        """Serve one request; False when the supervisor has closed its end."""
        message, descriptors, _, _ = socket.recv_fds(self._channel, MAX_MESSAGE_BYTES, 1)
        if not message:
            return False
        request: dict[str, Any] = json.loads(message)
        if request["op"] == "start":
            self._start(request, descriptors[0])
        else:
            self._signal(request["key"], request["signal"])
        return True

    def _start(self, request: dict[str, Any], output: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as exc:
            # Of the host's limits; the children that run must not end with this process.
            os.close(output)
            why = f"no child could be forked: {exc}"
            self._send({"event": "refused", "key": request["key"], "why": why})
            return
        if pid == 0:
            self._become_job(request, output, parent)
        os.close(output)
        self._keys[pid] = request["key"]
        self._send({"event": "started", "key": request["key"], "pid": pid})

    def _signal(self, key: str, number: int) -> None:
        # Only a child that is not reaped yet is in the table, so its pid cannot be another's.
        for pid, known in self._keys.items():
            if known == key:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wakeup.recv(4096):
                pass
        while self._keys:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._send({"event": "exited", "key": self._keys.pop(pid), "returncode": code})

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.send(json.dumps(message).encode())

    def _become_job(self, request: dict[str, Any], output: int, parent: int) -> NoReturn:
        """Run Ansible's own command line in this process, then leave without unwinding."""
        code = 1
        try:
            die_with_parent(parent)
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(request["cwd"])
            self._channel.close()
            self._wakeup.close()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            code = run_playbook(request["argv"])
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            os._exit(code)


def run_playbook(argv: list[str]) -> int:
    """Do what ``ansible-playbook`` does and return its exit status."""
    from ansible.cli.playbook import PlaybookCLI  # noqa: PLC0415 - loaded by main() already

    try:
        PlaybookCLI.cli_executor(argv)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
    return 0


def preload() -> None:
    """Import what every job needs, and keep the collector's hands off it after the fork."""
    importlib.import_module("ansible.cli.playbook")
    for name in PRELOADED:
        importlib.import_module(name)
    plugins = importlib.import_module("ansible.plugins.loader")
    for name in PRELOADED_PLUGINS:
        # Every play reads the options of all of these, whether it uses them or not.
        list(getattr(plugins, name).all(class_only=True))
    gc.collect()
    gc.freeze()


def main() -> None:
    """Load Ansible, then serve the supervisor."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    supervisor = os.getppid()
    die_with_parent(supervisor)
    os.set_inheritable(channel.fileno(), False)  # noqa: FBT003 - the standard library's signature
    wakeup, signalled = socket.socketpair()
    wakeup.setblocking(False)  # noqa: FBT003 - likewise
    signalled.setblocking(False)  # noqa: FBT003 - likewise
    signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    # The supervisor decides when jobs end; it gets the same signal from systemd.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    preload()
    # A child inherits a stream that shows each line at once, as a log that is followed must.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Zygote(channel, wakeup).serve()


if __name__ == "__main__":
    main()
