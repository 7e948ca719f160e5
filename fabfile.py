"""Tasks for looking at a platform: ``fab --list``; docs/operations/command_line.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric import task
from invoke.exceptions import Exit

from cli import commands
from cli.run import run

if TYPE_CHECKING:
    from fabric import Connection

_OUTPUT = {
    "json": "write JSON for scripts",
    "utc": "write points in time, not how long ago they were",
}
_LOG = {"job": "id of a job", "app": "id of an app", **_OUTPUT}


def _end(code: int) -> None:
    if code:
        raise Exit(code=code)


@task(help=_OUTPUT)
def status(_: Connection, *, json: bool = False, utc: bool = False) -> None:
    """Whether all is well: hosts, Deploy, nodes, runners, queue; 1 if not."""
    _end(run(commands.status, json=json, utc=utc, with_hosts=True))


@task(help=_OUTPUT)
def apps(_: Connection, *, json: bool = False, utc: bool = False) -> None:
    """Apps: state, revision, node, last deploy, URL."""
    _end(run(commands.apps, json=json, utc=utc))


@task(help={"app": "only jobs of this app", "limit": "how many, 1 to 200", **_OUTPUT})
def jobs(
    _: Connection,
    *,
    app: str | None = None,
    limit: str = "20",
    json: bool = False,
    utc: bool = False,
) -> None:
    """Newest jobs: status, duration, node, and why."""
    _end(run(commands.jobs, json=json, utc=utc, app=app, limit=limit))


@task(help=_OUTPUT)
def nodes(_: Connection, *, json: bool = False, utc: bool = False) -> None:
    """Nodes: health, heartbeat, disk, apps, weight."""
    _end(run(commands.nodes, json=json, utc=utc))


@task(help={"lines": "how many of the newest lines", **_LOG})
def logs(
    _: Connection,
    *,
    job: str | None = None,
    app: str | None = None,
    lines: str = "200",
    json: bool = False,
    utc: bool = False,
) -> None:
    """Log of a job or of an app."""
    _end(run(commands.logs, json=json, utc=utc, job=job, app=app, lines=lines))


@task(help={"lines": "how many of the newest lines to begin with", **_LOG})
def tail(
    _: Connection,
    *,
    job: str | None = None,
    app: str | None = None,
    lines: str = "200",
    json: bool = False,
    utc: bool = False,
) -> None:
    """Follow the log of a job to its end (1 if it failed), or of an app."""
    _end(run(commands.tail, json=json, utc=utc, job=job, app=app, lines=lines))
