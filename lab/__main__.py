"""Entry point of ``./dev``."""

from __future__ import annotations

import os
import sys

from lab.commands import main

try:
    code = main(sys.argv[1:])
except BrokenPipeError:
    # The reader, such as head, has seen enough; Python must not complain when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    code = 0
sys.exit(code)
