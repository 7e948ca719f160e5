"""A workspace host whose engine lives in dictionaries; its maps and folders are real."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible.module_utils.workspace_host import Folders, PortMap
from ansible.module_utils.workspace_keeper import Workspaces

from tests.unit.library.fake_engine import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

USER = 7
NAME = "ws-u-7"


class Host:
    """One host: its engine, its maps and its folders, and the ports that processes listen on."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine()
        self.ports_dir = folder / "ports"
        self.ports_dir.mkdir()
        self.root = folder / "workspaces"
        self.listening: set[int] = set()

    def run(self, *, check_mode: bool = False, **given: Any) -> dict[str, Any]:
        unset = ("image", "host_port", "container_port", "memory_mib", "cpus", "environment")
        params = {
            **dict.fromkeys((*unset, "command")),
            "user_id": USER,
            "state": "started",
            "adopt": False,
            "root": str(self.root),
            "uid": os.getuid(),
            **given,
        }
        workspaces = Workspaces(
            self.engine,
            PortMap(str(self.ports_dir)),
            Folders(),
            lambda port: port not in self.listening,
        )
        self.engine.writes.clear()
        return dict(workspaces.converge(params, check_mode=check_mode))

    def map_line(self, user: int = USER) -> str:
        return (self.ports_dir / f"ws-u-{user}.map").read_text().splitlines()[-1]
