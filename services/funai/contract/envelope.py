"""The body of every answer of Deploy: ``{"code", "message", "data"}``."""

from __future__ import annotations

from typing import Any

SUCCESS = 200


def envelope(data: Any = None, *, code: int = SUCCESS, message: str = "success") -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
    """Return an answer's body; all three members are always there."""
    return {"code": code, "message": message, "data": data}
