"""The supervisor's side of the zygote: starts it, asks it, starts it again when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

from funai.background import keep_running
from funai.runner.errors import ExecutionError
from funai.runner.zygote import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: Loading Ansible takes 0.6 s on an idle machine, 2.4 s without compiled files.
READY_SECONDS = 60.0
#: The same where the last zygote did not come up: long enough for one more try.
AGAIN_SECONDS = 5.0
#: A fork takes milliseconds; other children may be forked before.
FORK_SECONDS = 20.0
#: Pause before a zygote that died is replaced.
RESTART_SECONDS = 1.0


class ForkedChild:
    """One child of the zygote, known by a key of ours."""

    def __init__(self, client: ZygoteClient, key: str, on_exit: Callable[[], None]) -> None:
        self._client = client
        self.key = key
        self._on_exit = on_exit
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._why_not = ""
        self.pid: int | None = None
        self.returncode: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child's process group."""
        self._client.send_signal(self.key, number)

    def wait(self, timeout: float) -> bool:
        """Wait for the end; False when the time is up before."""
        return self._ended.wait(timeout)

    def begin(self, pid: int) -> None:
        """Note that it was forked."""
        self.pid = pid
        self._begun.set()

    def end(self, returncode: int) -> None:
        """Note the end, once."""
        if not self._ended.is_set():
            self.returncode = returncode
            self._ended.set()
            self._begun.set()
            self._on_exit()

    def refuse(self, why: str) -> None:
        """Note that it was never forked, and why."""
        self._why_not = why
        self._begun.set()

    def require_begun(self) -> None:
        """Wait until it was forked.

        :raises ExecutionError: when it was not
        """
        if not self._begun.wait(FORK_SECONDS):
            self._why_not = f"the zygote forked no child within {FORK_SECONDS:.0f} s"
        elif self.pid is None and not self._why_not:
            self._why_not = "the zygote ended before it forked the child"
        if self._why_not:
            raise ExecutionError(self._why_not)


class ZygoteClient:
    """Owns the zygote process.

    One thread starts it, reads its answers and starts it anew; it lives as long as the runner,
    which matters because the kernel ends the zygote with the *thread* that started it.
    """

    def __init__(self, env: Mapping[str, str], pass_fds: Sequence[int]) -> None:
        self._env = dict(env)
        self._pass_fds = tuple(pass_fds)
        self._children: dict[str, ForkedChild] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        #: Why the last zygote did not come up.
        self._trouble = ""
        self._thread = keep_running("zygote", self._keep, self._closing, RESTART_SECONDS)

    @property
    def pid(self) -> int:
        """The zygote's process.

        :raises ExecutionError: when it does not come up
        """
        self._require_ready()
        return self._process.pid if self._process else 0

    def start(
        self, argv: list[str], cwd: Path, output: int, on_exit: Callable[[], None]
    ) -> ForkedChild:
        """Have a child forked that runs ``argv`` of ansible-playbook in ``cwd``.

        :raises ExecutionError: when it cannot be forked at present
        """
        self._require_ready()
        child = ForkedChild(self, uuid.uuid4().hex, on_exit)
        request = {"op": "start", "key": child.key, "argv": argv, "cwd": str(cwd)}
        with self._lock:
            if self._channel is None:
                msg = "the zygote has just ended"
                raise ExecutionError(msg)
            try:
                socket.send_fds(self._channel, [json.dumps(request).encode()], [output])
            except OSError as exc:
                msg = f"the zygote does not take requests: {exc}"
                raise ExecutionError(msg) from exc
            self._children[child.key] = child
        try:
            child.require_begun()
        except ExecutionError:
            # Where it is forked all the same, later: nobody waits for it.
            self.send_signal(child.key, signal.SIGKILL)
            raise
        return child

    def send_signal(self, key: str, number: signal.Signals) -> None:
        """Ask for a signal to a child's group; only the zygote knows whether it still exists."""
        with self._lock:
            if key in self._children and self._channel is not None:
                request = {"op": "signal", "key": key, "signal": int(number)}
                try:
                    self._channel.send(json.dumps(request).encode())
                except OSError:
                    return  # the zygote has ended, and its children with it

    def kill(self) -> None:
        """Kill the zygote and, by the kernel, all its children; a new one is started."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                os.kill(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the zygote for good."""
        self._closing.set()
        self.kill()
        self._thread.join(timeout=5)

    def _require_ready(self) -> None:
        seconds = AGAIN_SECONDS if self._trouble else READY_SECONDS
        if not self._ready.wait(seconds):
            msg = self._trouble or f"the zygote did not load Ansible within {seconds:.0f} s"
            raise ExecutionError(msg)

    def _keep(self) -> None:
        while not self._closing.is_set():
            channel, process = self._spawn()
            try:
                if self._closing.is_set():
                    return
                self._read(channel)
            finally:
                # Also after an error: a zygote whose answers nobody takes is of no use.
                process.kill()
                self._lose_children(channel, process.wait())
            self._closing.wait(RESTART_SECONDS)

    def _spawn(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Start a zygote.

        :raises OSError: when the host has no process, descriptor or program for it
        """
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with contextlib.ExitStack() as on_error:
                on_error.callback(ours.close)
                with theirs, self._lock:
                    process = self._popen(theirs)
                    self._channel, self._process = ours, process
                on_error.pop_all()
        except OSError as exc:
            self._trouble = f"the zygote cannot be started: {exc}"
            raise
        return ours, process

    def _popen(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "funai.runner.zygote", str(theirs.fileno())],
            env=self._env,
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *self._pass_fds),
            start_new_session=True,
        )

    def _read(self, channel: socket.socket) -> None:
        """Take answers until the zygote is gone."""
        try:
            while message := channel.recv(MAX_MESSAGE_BYTES):
                self._take(json.loads(message))
        except OSError:
            return

    def _take(self, message: dict[str, Any]) -> None:
        event = message["event"]
        if event == "ready":
            self._trouble = ""
            self._ready.set()
            return
        with self._lock:
            child = self._children.get(message["key"])
            if child is not None and event != "started":
                del self._children[message["key"]]
        if child is None:
            return
        if event == "started":
            child.begin(message["pid"])
        elif event == "refused":
            child.refuse(message["why"])
        else:
            child.end(message["returncode"])

    def _lose_children(self, channel: socket.socket, returncode: int) -> None:
        if not self._ready.is_set():
            self._trouble = f"the zygote ended with {returncode} before it had loaded Ansible"
        self._ready.clear()
        with self._lock:
            lost = list(self._children.values())
            self._children.clear()
            self._channel = None
        channel.close()
        for child in lost:
            child.end(-signal.SIGKILL)
