"""Fetches one commit of a repository and reads its tree, without ever checking it out."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from funai.runner.command import TOO_MUCH, CommandMissingError, Finished, Limits, run
from funai.runner.source import git_errors
from funai.runner.source.git_environment import git_argv, git_environment
from funai.runner.source.hosts import look_up, place_of
from funai.runner.source.tar_tree import open_tar
from funai.runner.source.tree import MAX_ENTRIES, Entry, Kind, select
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from funai.contract.source import SourceSpec
    from funai.runner.build_settings import BuildSettings
    from funai.runner.source.tree import Tree
    from funai.runner.steps.step import Deadline

SETTING = "RUNNER_GIT_ALLOWED_HOSTS"
_SHA = re.compile(r"[0-9a-f]{40}")
_BEGIN_OF_SHA = re.compile(r"[0-9a-f]{7,40}")
#: Everything that the fallback fetches, and nothing that a repository's owner could name.
_ALL_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_KINDS = {"040000": Kind.FOLDER, "120000": Kind.LINK, "160000": Kind.SUBMODULE}
#: Attributes of a repository that would make the context differ from the commit.
_ATTRIBUTES = "* -export-ignore -export-subst\n"


class GitSource:
    """One commit of one repository, fetched into a folder of the job."""

    def __init__(
        self,
        spec: SourceSpec,
        settings: BuildSettings,
        folder: Path,
        deadline: Deadline,
        say: Callable[[str], object],
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._folder = folder
        self._repository = folder / "repository.git"
        self._deadline = deadline
        self._say = say
        self._url = spec.repo_url or ""
        self._place = look_up(
            place_of(self._url),
            settings.git_allowed_hosts,
            SETTING,
            settings.fetch_denied_addresses,
        )
        self._env: dict[str, str] = {}
        self._descriptors: tuple[int, ...] = ()

    @contextlib.contextmanager
    def fetched(self) -> Iterator[tuple[str, Tree]]:
        """Fetch; give the commit's full SHA, and the part of its tree that is built from.

        :raises StepError: saying why there is none
        """
        self._say(f"Fetching {self._spec.commit} of {self._url}")
        with git_environment(self._settings, self._place, self._folder) as surroundings:
            self._env, self._descriptors = surroundings
            self._git("init", "--quiet", "--bare", "--template=", str(self._repository))
            sha = self._resolve()
            self._say(f"Commit {sha}")
            self._require_usable(sha)
            path = self._read(sha)
        shutil.rmtree(self._repository)
        with open_tar(path, _name_in_tree) as tree:
            yield sha, tree

    def _resolve(self) -> str:
        """Fetch what was asked for and return its SHA; where that needs it, fetch all there is."""
        ref = self._spec.commit
        finished = self._fetch("--depth=1", refs=(ref,))
        if finished.ok:
            return self._sha_of("FETCH_HEAD")
        error = self._explain(finished)
        is_final = error.reason != git_errors.REF_NOT_FOUND or "not our ref" in finished.tail
        if is_final or not _BEGIN_OF_SHA.fullmatch(ref):
            raise error
        self._say(f"The server does not give {ref} by its SHA: fetching all branches and tags")
        finished = self._fetch(refs=_ALL_REFS)
        if not finished.ok:
            raise self._explain(finished)
        return self._sha_of(ref)

    def _fetch(self, *options: str, refs: Sequence[str]) -> Finished:
        usual = ("--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
        return self._run("fetch", *usual, *options, "--end-of-options", self._url, *refs)

    def _sha_of(self, revision: str) -> str:
        finished = self._git(
            "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}", stdout=True
        )
        words = finished.stdout.decode(errors="replace").split()
        if not words or not _SHA.fullmatch(words[-1]):
            raise self._explain(finished)
        return words[-1]

    def _require_usable(self, sha: str) -> None:
        """Refuse what cannot be built before its contents are read."""
        finished = self._run("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", sha, stdout=True)
        if finished.stopped == TOO_MUCH:
            sentence = f"{self._url} has more than {MAX_ENTRIES} files. Remove what is not needed."
            raise StepError(reason="CONTEXT_TOO_LARGE", sentence=sentence)
        if not finished.ok:
            raise self._explain(finished)
        records = finished.stdout.decode("utf-8", "surrogateescape").split("\0")
        listed = {entry.path: entry for entry in map(_entry, filter(None, records))}
        spec, largest = self._spec, self._settings.context_max_bytes
        select(listed, spec.build_context, spec.dockerfile_path, largest)

    def _read(self, sha: str) -> Path:
        """Have git write the files that are built from into a tar."""
        (self._repository / "info").mkdir(exist_ok=True)
        (self._repository / "info" / "attributes").write_text(_ATTRIBUTES)
        path = self._folder / "tree.tar"
        context, dockerfile = self._spec.build_context, self._spec.dockerfile_path
        wanted = () if context == "." else (context, dockerfile)
        self._git("--literal-pathspecs", "archive", "--format=tar", sha, "--", *wanted, stdout=path)
        return path

    def _git(self, *arguments: str, stdout: Path | bool = False) -> Finished:
        finished = self._run(*arguments, stdout=stdout)
        if not finished.ok:
            raise self._explain(finished)
        return finished

    def _run(self, *arguments: str, stdout: Path | bool = False) -> Finished:
        inside = [] if arguments[0] == "init" else [f"--git-dir={self._repository}"]
        try:
            return run(
                [*git_argv(self._place), *inside, *arguments],
                Limits(self._deadline.remaining, self._watch),
                env=self._env,
                on_line=self._say,
                stdout=stdout,
                pass_fds=self._descriptors,
            )
        except CommandMissingError as exc:
            sentence = (
                "This runner cannot fetch: git is not installed there. Have the operators look."
            )
            raise StepError(reason="RUNNER_BROKEN", sentence=sentence, evidence=str(exc)) from exc

    def _watch(self) -> str:
        largest = self._settings.source_max_bytes
        return git_errors.TOO_LARGE if _size_of(self._repository) > largest else ""

    def _explain(self, finished: Finished) -> StepError:
        if finished.stopped == git_errors.TOO_LARGE:
            return git_errors.too_large(self._url, self._settings.source_max_mib)
        return git_errors.explain(
            finished,
            url=self._url,
            ref=self._spec.commit,
            host=self._place.host,
            seconds=self._deadline.seconds,
        )


def _entry(record: str) -> Entry:
    """Read ``mode type sha size<TAB>path`` of git-ls-tree(1)."""
    fields, _, path = record.partition("\t")
    mode, _, _, size = fields.split()
    kind = _KINDS.get(mode, Kind.FILE)
    return Entry(path, kind, int(size) if size.isdigit() else 0)


def _name_in_tree(raw: str) -> str:
    # git has neither `..` nor an empty name in a tree; other unusual names are the user's own.
    return raw.strip("/")


def _size_of(folder: Path) -> int:
    """Return the bytes below a folder that is being written to."""
    size = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(at) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return size
