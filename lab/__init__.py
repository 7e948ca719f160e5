"""The lab: real hosts as containers on this machine, and the commands of ``./dev``."""

from __future__ import annotations
