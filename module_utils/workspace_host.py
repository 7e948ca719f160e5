"""The host of workspaces: their folders, and the map that nginx finds their ports in.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import stat
import typing as t
from dataclasses import dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from module_utils.workspace_state import LOOPBACK, WorkspaceError, container_name
else:
    from ansible.module_utils.workspace_state import LOOPBACK, WorkspaceError, container_name

FOLDER_MODE = 0o750
MAP_MODE = 0o644
_LINE = re.compile(r'^\s*"?(?P<user>[0-9]+)"?\s+(?P<port>[0-9]+)\s*;')


@dataclass(frozen=True)
class PortLine:
    """One line of a map: which port nginx asks for a user's workspace."""

    file: str
    user_id: int
    port: int


class PortMap:
    """The ``*.map`` files that nginx includes; each workspace of ours has one of its own.

    :param folder: folder of the files; empty where nginx is not to know
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def own_file(self, user_id: int) -> str:
        """Return the name of the file that the module keeps for a user."""
        return f"{container_name(user_id)}.map"

    def lines(self) -> list[PortLine]:
        """Return every line, also those of whoever else makes workspaces, by file."""
        if self._folder is None:
            return []
        found: list[PortLine] = []
        for path in sorted(self._folder.glob("*.map")):
            matches = map(_LINE.match, path.read_text(errors="replace").splitlines())
            found += [PortLine(path.name, int(m["user"]), int(m["port"])) for m in matches if m]
        return found

    def wanted_file(self, user_id: int, port: int | None) -> str | None:
        """Return what the user's own file must hold; None where it must not be.

        A second line for a user would stop nginx: where others say the right port already, nothing
        is added.

        :param port: None where nginx shall know no workspace of that user
        :raises WorkspaceError: where a file of others gives the user another port
        """
        if self._folder is None or port is None:
            return None
        own = self.own_file(user_id)
        others = [line for line in self.lines() if line.user_id == user_id and line.file != own]
        for line in others:
            if line.port != port:
                msg = (
                    f"{self._folder / line.file} gives user {user_id} port {line.port}, not {port}."
                    f" Remove that line, or declare host_port: {line.port}."
                )
                raise WorkspaceError(msg)
        return None if others else f'# Written by workspace_container.\n"{user_id}" {port};\n'

    def current_file(self, user_id: int) -> str | None:
        """Return what the user's own file holds; None where there is none."""
        if self._folder is None:
            return None
        path = self._folder / self.own_file(user_id)
        return path.read_text() if path.is_file() else None

    def write(self, user_id: int, content: str | None) -> None:
        """Write the user's own file by one rename, or remove it.

        :raises WorkspaceError: where the folder is not there
        """
        if self._folder is None:
            return
        path = self._folder / self.own_file(user_id)
        if content is None:
            path.unlink(missing_ok=True)
            return
        if not self._folder.is_dir():
            msg = (
                f"{self._folder} does not exist. Converge the role workspace first, or give "
                "ports_dir as it is on this host (empty: no map)."
            )
            raise WorkspaceError(msg)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(content)
        fresh.chmod(MAP_MODE)
        fresh.replace(path)


class Folders:
    """The users' folders, which only their user and root may enter."""

    def needs_change(self, path: str, uid: int) -> bool:
        """Return whether the folder is missing or another's.

        :raises WorkspaceError: where something else is in its place
        """
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return True
        if not stat.S_ISDIR(found.st_mode):
            msg = f"{path} is no folder. Move it away; the workspace's files belong there."
            raise WorkspaceError(msg)
        return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (uid, uid, FOLDER_MODE)

    def make(self, path: str, uid: int) -> None:
        """Make the folder, or give it to its user; what is in it stays untouched."""
        Path(path).mkdir(parents=True, exist_ok=True)
        Path(path).chmod(FOLDER_MODE)
        os.chown(path, uid, uid)


def is_port_free(port: int) -> bool:
    """Return whether nothing on this host listens on the port of loopback or of all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            if exc.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


@contextlib.contextmanager
def one_at_a_time(path: str) -> Iterator[None]:
    """Hold the host's lock: two runs at once could choose the same port."""
    with Path(path).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
