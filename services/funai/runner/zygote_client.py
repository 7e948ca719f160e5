"""The supervisor's side of the zygote: starts it, asks it, starts it again when it dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

from funai.runner.errors import ExecutionError
from funai.runner.zygote import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: Loading Ansible takes 0.6 s on an idle machine, 2.4 s without compiled files.
READY_SECONDS = 60.0
#: Pause before a zygote that died is replaced.
RESTART_SECONDS = 1.0


class ForkedChild:
    """One child of the zygote, known by a key of ours."""

    def __init__(self, client: ZygoteClient, key: str, on_exit: Callable[[], None]) -> None:
        self._client = client
        self.key = key
        self._on_exit = on_exit
        self._ended = threading.Event()
        self.pid: int | None = None
        self.returncode: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child's process group."""
        self._client.send_signal(self.key, number)

    def wait(self, timeout: float) -> bool:
        """Wait for the end; False when the time is up before."""
        return self._ended.wait(timeout)

    def end(self, returncode: int) -> None:
        """Note the end, once."""
        if not self._ended.is_set():
            self.returncode = returncode
            self._ended.set()
            self._on_exit()


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
        self._thread = threading.Thread(target=self._keep, name="zygote", daemon=True)
        self._thread.start()

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
        """Have a child forked that runs ``argv`` of ansible-playbook in ``cwd``."""
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
        if not self._ready.wait(READY_SECONDS):
            msg = f"the zygote did not load Ansible within {READY_SECONDS:.0f} s"
            raise ExecutionError(msg)

    def _keep(self) -> None:
        while not self._closing.is_set():
            channel, process = self._spawn()
            self._read(channel)
            self._lose_children(channel)
            process.wait()
            self._closing.wait(RESTART_SECONDS)

    def _spawn(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "funai.runner.zygote", str(theirs.fileno())],
                env=self._env,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *self._pass_fds),
                start_new_session=True,
            )
            self._channel, self._process = ours, process
        return ours, process

    def _read(self, channel: socket.socket) -> None:
        """Take answers until the zygote is gone."""
        try:
            while message := channel.recv(MAX_MESSAGE_BYTES):
                self._take(json.loads(message))
        except OSError:
            return

    def _take(self, message: dict[str, Any]) -> None:
        if message["event"] == "ready":
            self._ready.set()
            return
        with self._lock:
            child = self._children.get(message["key"])
            if child is not None and message["event"] == "exited":
                del self._children[message["key"]]
        if child is None:
            return
        if message["event"] == "started":
            child.pid = message["pid"]
        else:
            child.end(message["returncode"])

    def _lose_children(self, channel: socket.socket) -> None:
        self._ready.clear()
        with self._lock:
            lost = list(self._children.values())
            self._children.clear()
            self._channel = None
        channel.close()
        for child in lost:
            child.end(-signal.SIGKILL)
