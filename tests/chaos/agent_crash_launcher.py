"""The agent, with a trap in it: ``python -m tests.chaos.agent_crash_launcher FILE``.

While FILE holds the name of a point, the process kills itself when it comes past that point. The
agent's own code knows nothing of it: functions are wrapped from outside, before the agent starts.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.__main__ import main
from tests.chaos.agent_crash_points import POINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.agent_crash_points import Point


def _wrap(function: Callable[..., Any], point: Point, armed: Path) -> Callable[..., Any]:
    def die_if_armed(arguments: tuple[Any, ...]) -> None:
        here = not point.phase or point.phase in arguments
        if here and armed.exists() and armed.read_text() == point.name:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if point.when == "before":
            die_if_armed(arguments)
        result = function(*arguments, **named)
        if point.when == "after":
            die_if_armed(arguments)
        return result

    return wrapped


def set_traps(armed: Path) -> None:
    """Wrap the function of every point."""
    for point in POINTS:
        module, _, path = point.target.partition(":")
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, _wrap(getattr(owner, name), point, armed))


if __name__ == "__main__":
    set_traps(Path(sys.argv[1]))
    sys.exit(main())
