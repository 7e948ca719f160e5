"""Where the agent is killed during a deploy, and which version must serve after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_REPOSITORY = "funai.runtime_agent.apps.repository:AppRepository"
_CONTAINERS = "funai.runtime_agent.engine.containers:Containers"
_MAP_FILE = "funai.gateway.map_file"


@dataclass(frozen=True)
class Point:
    """One instruction of a deploy before or after which the process ends.

    :param target: ``module:function`` or ``module:Class.method`` that is called there
    :param serves: the version after the restart: the one before the deploy, or the one it makes
    :param phase: only the call that carries this phase of the journal
    :param fails: the deploy is of an image that exits, so that it is undone
    """

    name: str
    target: str
    when: Literal["before", "after"]
    serves: Literal["old", "new"]
    phase: str = ""
    fails: bool = False


def _advance(
    name: str,
    when: Literal["before", "after"],
    serves: Literal["old", "new"],
    phase: str,
    *,
    fails: bool = False,
) -> Point:
    return Point(name, f"{_REPOSITORY}.advance", when, serves, phase, fails)


#: In the order in which a deploy comes past them.
POINTS = (
    Point("fence kept", f"{_REPOSITORY}.raise_fence", "after", "old"),
    Point("before PREPARED", f"{_REPOSITORY}.prepare", "before", "old"),
    Point("after PREPARED", f"{_REPOSITORY}.prepare", "after", "old"),
    Point("container created", f"{_CONTAINERS}._create", "after", "old"),
    Point("container started", f"{_CONTAINERS}.create", "after", "old"),
    _advance("after STARTED", "after", "old", "STARTED"),
    _advance("before HEALTHY", "before", "old", "HEALTHY"),
    _advance("after HEALTHY", "after", "new", "HEALTHY"),
    Point("before route file", "funai.gateway.haproxy_map:write_map_file", "before", "new"),
    Point("temporary route file", f"{_MAP_FILE}:_take_over_access", "after", "new"),
    Point("route file renamed", f"{_MAP_FILE}:_sync_folder", "before", "new"),
    Point("after route file", "funai.gateway.haproxy_map:write_map_file", "after", "new"),
    Point("after map", "funai.gateway.runtime_socket:RuntimeSocket.expect_silence", "after", "new"),
    Point("before SWITCHED", f"{_REPOSITORY}.switch", "before", "new"),
    Point("after SWITCHED", f"{_REPOSITORY}.switch", "after", "new"),
    Point("before old stop", f"{_CONTAINERS}.stop", "before", "new"),
    Point("after old stop", f"{_CONTAINERS}.stop", "after", "new"),
    Point("after old removed", f"{_CONTAINERS}.remove", "after", "new"),
    _advance("after DRAINED", "after", "new", "DRAINED"),
    _advance("before DONE", "before", "new", "DONE"),
    _advance("after DONE", "after", "new", "DONE"),
    _advance("after UNDOING", "after", "old", "UNDOING", fails=True),
    Point("failed one removed", f"{_CONTAINERS}.remove", "after", "old", fails=True),
    _advance("after UNDONE", "after", "old", "UNDONE", fails=True),
)
