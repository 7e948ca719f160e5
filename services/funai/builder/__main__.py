"""Serve one build, or keep the cache in bounds: ``funai-builder serve|prune|clean``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from funai.builder import folders, processes
from funai.builder.buildah import Buildah, BuildahError
from funai.builder.config import ConfigError, Settings
from funai.builder.connection import ClientGoneError
from funai.builder.driver import choose
from funai.builder.prune import prune
from funai.builder.session import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

_log = logging.getLogger("funai.builder")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    parser = argparse.ArgumentParser(prog="funai-builder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="build for the client whose connection is standard input")
    pruning = commands.add_parser("prune", help="remove what the cache no longer keeps")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    commands.add_parser("clean", help="remove what builds that died have left")
    asked = parser.parse_args(argv)
    try:
        settings = Settings.from_env(os.environ)
    except ConfigError as exc:
        sys.stderr.write(f"funai-builder: {exc}\n")
        return 2
    run: dict[str, Callable[[], None]] = {
        "serve": lambda: _serve(settings),
        "prune": lambda: _prune(settings, dry_run=asked.dry_run),
        "clean": lambda: _clean(settings),
    }
    try:
        run[asked.command]()
    except BuildahError as exc:
        sys.stderr.write(f"funai-builder: {exc}\n")
        return 1
    return 0


def _serve(settings: Settings) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    # Ending is cleaning up: the build's processes, containers and files go first.
    signal.signal(signal.SIGTERM, end)
    processes.adopt_orphans()
    # Whoever asked for the image reads it as another user; everything else lies in closed folders.
    os.umask(0o022)
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as client:
        # Nothing that is started may inherit the connection: its end is the client's sign.
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        try:
            serve(settings, client)
        except ClientGoneError as exc:
            _log.info("the build is dropped: %s", exc)


def _prune(settings: Settings, *, dry_run: bool) -> None:
    folders.prepare(settings)
    buildah = Buildah(settings, choose(settings))
    for decision in prune(settings, buildah, dry_run=dry_run):
        sys.stdout.write(json.dumps(decision.to_json()) + "\n")


def _clean(settings: Settings) -> None:
    folders.prepare(settings)
    buildah = Buildah(settings, choose(settings))
    for build in folders.dead(settings):
        folders.remove(settings, buildah, build)


if __name__ == "__main__":
    sys.exit(main())
