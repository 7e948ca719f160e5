"""A repository of the sample app on the platform's git server, to which benchmarks add commits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from tests.bench.remote import run_on_host

if TYPE_CHECKING:
    from tests.acceptance.live_platform import Platform

GIT_DIR = "/srv/git"
SAMPLE = f"{GIT_DIR}/sample-python.git"


class SourceRepository:
    """A copy of the sample repository, gone at the end of the block."""

    def __init__(self, platform: Platform, name: str) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._path = f"{GIT_DIR}/{name}.git"
        self.url = f"https://{platform.address('forge')}/git/{name}.git"

    def __enter__(self) -> Self:
        # The folder of all repositories is root's: git may not make one there.
        self._run(["install", "--directory", "--owner=git", "--group=git", self._path])
        self._git(None, "clone", "--quiet", "--bare", SAMPLE, self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(["rm", "-rf", self._path])

    def commit(self, files: dict[str, str]) -> str:
        """Add or replace files on main, each by its text; return the commit's SHA."""
        changes = "".join(
            f"M 100644 inline {name}\ndata {len(text.encode())}\n{text}\n"
            for name, text in files.items()
        )
        message = (
            "commit refs/heads/main\ncommitter Bench <bench@localhost> now\n"
            f"data 6\nChange\nfrom refs/heads/main^0\n{changes}"
        )
        git_dir = f"--git-dir={self._path}"
        # Two that begin at the same commit would lose one of theirs.
        with self._lock:
            self._git(message, git_dir, "fast-import", "--quiet", "--date-format=now")
            return self._git(None, git_dir, "rev-parse", "refs/heads/main")

    def _git(self, stdin: str | None, *arguments: str) -> str:
        return self._run(["runuser", "-u", "git", "--", "git", *arguments], stdin)

    def _run(self, argv: list[str], stdin: str | None = None) -> str:
        return run_on_host(self._platform, "forge", argv, stdin or "")
