"""JSON as other programs can read it again: no numbers beyond their reach, no endless nesting."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

#: Of what callers send, in lists and objects; a runner's playbook has to work with it as well.
MAX_DEPTH = 64


def loads(data: bytes | str, max_depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value.

    :param max_depth: how many lists and objects may be inside each other; whoever handles the value
        later has less of Python's stack left than the reader has
    :raises ValueError: with the rule that it breaks
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError(_too_deep(max_depth)) from exc
    if isinstance(value, dict | list) and _is_deeper(value, max_depth):
        raise ValueError(_too_deep(max_depth))
    return value


def _too_deep(max_depth: int) -> str:
    return f"more than {max_depth} lists and objects are inside each other"


def _is_deeper(value: Any, max_depth: int) -> bool:  # noqa: ANN401 - likewise
    level = [value]
    for _ in range(max_depth):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _inside(value: Any) -> list[Any]:  # noqa: ANN401 - likewise
    """Return the lists and objects that are members of one."""
    members = value.values() if isinstance(value, dict) else value
    return [each for each in members if isinstance(each, dict | list)]


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)


def _finite(text: str) -> float:
    # Python reads 1e999 as infinity, which it would write as a word that is not JSON.
    value = float(text)
    if math.isinf(value):
        msg = f"the number {text[:40]} is beyond what a double holds"
        raise ValueError(msg)
    return value
