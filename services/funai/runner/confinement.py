"""What the runner asks of the kernel: die with the parent, leave no core, hide secrets."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, however the parent ends.

    :param parent_pid: who is expected to be the parent; if it is gone already, this process ends
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent_pid:
        os._exit(1)


def leave_no_core() -> None:
    """Forbid core dumps, here and in all children: they would hold the tokens."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def secret_file(name: str, secret: str) -> int:
    """Return a descriptor of a file in memory that holds ``secret``.

    Children that inherit it read ``/proc/self/fd/<n>``: the secret is on no disk, in no
    environment and on no command line (docs/decisions/0021-secrets-of-a-job.md).
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(descriptor, secret.encode())
    return descriptor
