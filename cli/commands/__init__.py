"""The commands: each asks, judges, and writes for people or for scripts."""

from __future__ import annotations

from cli.commands.apps import apps
from cli.commands.jobs import jobs
from cli.commands.logs import logs, tail
from cli.commands.nodes import nodes
from cli.commands.status import status

__all__ = ["apps", "jobs", "logs", "nodes", "status", "tail"]
