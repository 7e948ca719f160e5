"""Runner: claims jobs from Deploy, runs their bundled playbook, reports what came of it."""

from __future__ import annotations
