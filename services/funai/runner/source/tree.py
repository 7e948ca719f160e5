"""A tree of files as it was fetched, and what of it may become a build context. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Protocol

from funai.contract.ids import shown
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_ENTRIES = 100_000
MAX_HOPS = 40
#: Under this name a Dockerfile that lies outside the context is put into it.
OUTER_DOCKERFILE = ".funai.dockerfile"
_ROOT = "."


class Kind(StrEnum):
    """What an entry is; anything else is not taken into a tree."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SUBMODULE = "submodule"


@dataclass(frozen=True)
class Entry:
    """One file, folder or link."""

    #: Below the tree's root, without ``.``, ``..`` and a leading or last slash.
    path: str
    kind: Kind
    size: int = 0
    executable: bool = False
    #: Of a link.
    target: str = ""
    mtime: int = 0


class Tree(Protocol):
    """A tree whose files can be read."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The entries by path, in the order in which they are best read."""

    def open(self, entry: Entry) -> IO[bytes]:
        """Return a file's content."""


@dataclass(frozen=True)
class Selection:
    """What goes into the context: names there, and the entries they come from."""

    members: tuple[tuple[str, Entry], ...]
    #: Name of the Dockerfile inside the context.
    dockerfile: str


def select(
    entries: Mapping[str, Entry], context: str, dockerfile: str, max_bytes: int
) -> Selection:
    """Choose the entries of a build context and check them.

    :param context: folder of the tree, ``.`` for all of it
    :param dockerfile: path in the tree
    :raises StepError: ``DOCKERFILE_MISSING``, ``CONTEXT_INVALID``, ``CONTEXT_TOO_LARGE`` or
        ``SUBMODULES_UNSUPPORTED``
    """
    _require_dockerfile(entries, context, dockerfile)
    _require_folder(entries, context)
    prefix = "" if context == _ROOT else f"{context}/"
    members = [
        (path[len(prefix) :], entry)
        for path, entry in entries.items()
        if path.startswith(prefix) and path != prefix
    ]
    check_members(members, max_bytes)
    if dockerfile.startswith(prefix):
        return Selection(tuple(members), dockerfile[len(prefix) :])
    return Selection((*members, (OUTER_DOCKERFILE, entries[dockerfile])), OUTER_DOCKERFILE)


def check_members(members: Iterable[tuple[str, Entry]], max_bytes: int) -> None:
    """Refuse a context that is too large or reaches outside itself.

    :raises StepError: see :func:`select`
    """
    by_name = dict(members)
    if len(by_name) > MAX_ENTRIES:
        sentence = f"The build context has more than {MAX_ENTRIES} files."
        raise _too_large(sentence)
    size = sum(entry.size for entry in by_name.values())
    if size > max_bytes:
        sentence = f"The build context has {_mib(size)} MiB, more than {_mib(max_bytes)}."
        raise _too_large(sentence)
    links = {name: entry.target for name, entry in by_name.items() if entry.kind is Kind.LINK}
    for name, entry in by_name.items():
        if entry.kind is Kind.SUBMODULE:
            raise _submodule(name)
        _require_real_parents(name, by_name)
        if entry.kind is Kind.LINK and leaves_root(name, links):
            sentence = (
                f"The link {shown(name)} points to {shown(entry.target)}, which is outside the build"
                " context. Make it point inside the context, or replace it by the file itself."
            )
            raise StepError(reason="CONTEXT_INVALID", sentence=sentence)


def leaves_root(name: str, links: Mapping[str, str]) -> bool:
    """Tell whether following a link leads outside the root, or round in circles.

    Links on the way are followed too: ``a/../x`` is not ``x`` where ``a`` is a link.
    """
    at, hops = name.split("/")[:-1], 0
    parts = deque(links[name].split("/"))
    if links[name].startswith("/"):
        return True
    while parts:
        part = parts.popleft()
        if part == "..":
            if not at:
                return True
            at.pop()
        elif part not in {"", "."}:
            target = links.get("/".join([*at, part]))
            if target is None:
                at.append(part)
                continue
            hops += 1
            if hops > MAX_HOPS or target.startswith("/"):
                return True
            parts.extendleft(reversed(target.split("/")))
    return False


def _require_dockerfile(entries: Mapping[str, Entry], context: str, dockerfile: str) -> None:
    found = entries.get(dockerfile)
    if found is not None and found.kind is Kind.FILE:
        return
    seen = "is not there" if found is None else f"is a {found.kind}, not a file"
    sentence = f"The Dockerfile {shown(dockerfile)} {seen} (paths count from the source's root)."
    within = f"{context}/{dockerfile}"
    other = within if within in entries else next(_dockerfiles(entries), "")
    advice = f" There is one at {shown(other)}." if other else ""
    raise StepError(
        reason="DOCKERFILE_MISSING",
        sentence=f"{sentence}{advice} Commit one, or set dockerfilePath, then deploy again.",
    )


def _dockerfiles(entries: Mapping[str, Entry]) -> Iterator[str]:
    names = (path for path, entry in entries.items() if entry.kind is Kind.FILE)
    return (path for path in names if path.rsplit("/", 1)[-1].lower() == "dockerfile")


def _require_folder(entries: Mapping[str, Entry], context: str) -> None:
    if context == _ROOT:
        return
    found = entries.get(context)
    is_folder = found is not None and found.kind is Kind.FOLDER
    if is_folder or (found is None and any(path.startswith(f"{context}/") for path in entries)):
        return
    seen = "is not there" if found is None else f"is a {found.kind}, not a folder"
    sentence = (
        f"The build context {shown(context)} {seen} (paths count from the source's root)."
        " Correct buildContext, then deploy again."
    )
    raise StepError(reason="CONTEXT_INVALID", sentence=sentence)


def _require_real_parents(name: str, by_name: Mapping[str, Entry]) -> None:
    """Refuse what lies below a file or a link: unpacking it would write where the link points."""
    parent = name.rpartition("/")[0]
    while parent:
        entry = by_name.get(parent)
        if entry is not None and entry.kind is not Kind.FOLDER:
            sentence = f"{shown(name)} lies below {shown(parent)}, which is a {entry.kind}."
            raise StepError(
                reason="CONTEXT_INVALID",
                sentence=f"{sentence} Correct the source, then deploy again.",
            )
        parent = parent.rpartition("/")[0]


def _submodule(name: str) -> StepError:
    sentence = (
        f"{shown(name)} is a git submodule, and submodules are not fetched. Commit the files"
        " themselves (git subtree), or set buildContext to a folder without submodules."
    )
    return StepError(reason="SUBMODULES_UNSUPPORTED", sentence=sentence)


def _too_large(sentence: str) -> StepError:
    advice = "Remove what the build does not need, or set buildContext to a smaller folder."
    return StepError(reason="CONTEXT_TOO_LARGE", sentence=f"{sentence} {advice}")


def _mib(size: int) -> int:
    return -(-size // (1024 * 1024))
