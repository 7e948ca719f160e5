"""``funai-runner`` with children that need no Ansible: ``python -m tests.chaos.light_runner``."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from funai.runner import __main__ as runner
from funai.runner import zygote_client

if TYPE_CHECKING:
    from typing import Any


class _LightPopen(subprocess.Popen[bytes]):
    """Starts this harness's zygote where the runner starts its own."""

    def __init__(self, argv: list[str], *, env: dict[str, str], **options: Any) -> None:
        argv = [argv[0], "-m", "tests.chaos.light_zygote", *argv[3:]]
        ours = {name: os.environ[name] for name in ("PYTHONPATH", "CHAOS_HISTORY")}
        super().__init__(argv, env={**env, **ours}, **options)


def main() -> None:
    """Run the runner."""
    zygote_client.subprocess = _Subprocess  # type: ignore[assignment,attr-defined]
    runner.main()


class _Subprocess:
    """What ``zygote_client`` uses of the module."""

    Popen = _LightPopen
    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired


if __name__ == "__main__":
    main()
