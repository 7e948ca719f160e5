"""Unpack a build context: plain files, folders and links, and nothing outside its own folder.

The tar comes from the runner, which made it from a checkout; what it holds is a stranger's. No path
is opened through a link, because links are made last, when everything else is there.
"""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from funai.builder.model import BUILD_DISK_FULL, BUILD_FAILED, DOCKERFILE_MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_MEMBERS = 200_000
_COPY_BYTES = 256 * 1024
_LARGEST_DOCKERFILE = 1024 * 1024
_LARGEST_NAME = 4096
#: What a member takes on disk beyond its content.
_MEMBER_BYTES = 4096


class ContextError(Exception):
    """The context cannot be built from; ``reason`` is one of the builder's reasons."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Readable(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def unpack(source: Readable, folder: Path, largest_bytes: int) -> None:
    """Write the members of a tar below ``folder``, which must be new and empty.

    :raises ContextError: for a tar that is broken, too large, or that leaves the folder
    """
    folder.mkdir(mode=0o755)
    links: list[tuple[Path, tarfile.TarInfo]] = []
    left = largest_bytes
    try:
        # "r|": as a stream, member by member, never the whole of it.
        with tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]
            for number, member in enumerate(tar):
                left -= member.size + _MEMBER_BYTES
                if number >= _MOST_MEMBERS or left < 0:
                    raise _too_large(largest_bytes)
                _place(tar, member, folder, links)
    except (tarfile.TarError, EOFError, UnicodeError) as exc:
        raise ContextError(BUILD_FAILED, f"the build context is no tar: {exc}") from exc
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as exc:
        message = f"the build context names {exc.filename!a} twice, as different things"
        raise ContextError(BUILD_FAILED, message) from exc
    _make_links(folder, links)


def _place(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    folder: Path,
    links: list[tuple[Path, tarfile.TarInfo]],
) -> None:
    path = _inside(folder, member.name)
    if member.isdir():
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    if path == folder:
        raise _refused(member.name)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if member.isreg():
        _write(tar, member, path)
    elif member.issym() or member.islnk():
        links.append((path, member))
    else:
        raise _refused(member.name)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a member's content; the time stays out of it, the executable bit in."""
    content = tar.extractfile(member)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        while content is not None and (piece := content.read(_COPY_BYTES)):
            file.write(piece)
        os.fchmod(file.fileno(), 0o755 if member.mode & stat.S_IXUSR else 0o644)


def _make_links(folder: Path, links: Iterable[tuple[Path, tarfile.TarInfo]]) -> None:
    """Make hard links between files that are there, then the symbolic links."""
    for path, member in sorted(links, key=lambda link: link[1].issym()):
        try:
            if member.issym():
                path.symlink_to(member.linkname)
            else:
                os.link(_inside(folder, member.linkname), path, follow_symlinks=False)
        except (OSError, ValueError) as exc:
            message = f"the build context has a link that cannot be made: {member.name[:200]!a}"
            raise ContextError(BUILD_FAILED, message) from exc


def _inside(folder: Path, name: str) -> Path:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or "\0" in name or len(name) > _LARGEST_NAME:
        raise _refused(name)
    return folder.joinpath(*parts)


def _refused(name: str) -> ContextError:
    return ContextError(
        BUILD_FAILED,
        f"the build context holds {name[:200]!a}, which is neither a file nor a folder nor a link"
        " inside it",
    )


def _too_large(largest_bytes: int) -> ContextError:
    return ContextError(
        BUILD_DISK_FULL,
        f"the build context has more than {_MOST_MEMBERS} entries or {largest_bytes} bytes; leave"
        " out what the image does not need with a .dockerignore file",
    )


def read_dockerfile(folder: Path, name: str) -> bytes:
    """Return the Dockerfile at a path of the context, which no link may lead to.

    :param name: relative path, checked already
    :raises ContextError: where there is none
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in Path(name).parts:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_dockerfile(name)
        content = os.read(descriptor, _LARGEST_DOCKERFILE + 1)
    except OSError as exc:
        raise _no_dockerfile(name) from exc
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST_DOCKERFILE:
        message = f"{name} is larger than {_LARGEST_DOCKERFILE} bytes"
        raise ContextError(BUILD_FAILED, message)
    return content


def _no_dockerfile(name: str) -> ContextError:
    return ContextError(
        DOCKERFILE_MISSING,
        f"the build context has no file {name!a} (a symbolic link does not count); set"
        " dockerfilePath and buildContext to where it is",
    )
