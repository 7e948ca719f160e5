"""Describes the API for programs as OpenAPI has it, from the routes themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import current_app

if TYPE_CHECKING:
    from werkzeug.routing import Rule

_ENVELOPE = {
    "type": "object",
    "required": ["code", "message", "data"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {}},
}
_METHODS = ("GET", "POST", "PUT", "DELETE")
_PART = re.compile(r"<(?:\w+:)?(\w+)>")


def document(prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document of every route below a prefix."""
    paths: dict[str, dict[str, Any]] = {}
    rules = sorted(current_app.url_map.iter_rules(), key=lambda rule: rule.rule)
    for rule in rules:
        if rule.rule.startswith(f"{prefix}/"):
            path = _PART.sub(lambda found: "{" + _camel(found[1]) + "}", rule.rule)
            paths.setdefault(path, {}).update(_operations(rule))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Funai", "version": "1"},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Envelope": _ENVELOPE},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(rule: Rule) -> dict[str, Any]:
    summary = (current_app.view_functions[rule.endpoint].__doc__ or "").strip()
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}}
    return {
        method.lower(): {
            "operationId": rule.endpoint.rpartition(".")[2],
            "summary": summary,
            "parameters": [
                {"name": _camel(name), "in": "path", "required": True, "schema": _STRING}
                for name in sorted(rule.arguments)
            ],
            **(_BODY if method in {"POST", "PUT"} else {}),
            "responses": {"200": {"description": "done", "content": answer}},
        }
        for method in _METHODS
        if method in (rule.methods or ())
    }


_STRING = {"type": "string"}
_BODY = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
