"""Entry point of ``./dev``."""

from __future__ import annotations

import sys

from lab.commands import main

sys.exit(main(sys.argv[1:]))
