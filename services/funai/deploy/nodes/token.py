"""Tokens of nodes: what an agent shows to prove which node it is. Pure.

Only hashes are kept. A token is 256 random bits, so its plain SHA-256 tells nobody what it was.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from funai.contract.headers import NODE_TOKEN
from funai.contract.secrets import matches
from funai.deploy.errors import UnauthorizedError

if TYPE_CHECKING:
    from funai.deploy.nodes.model import Node


def new_token() -> str:
    """Return a token that nobody has."""
    return secrets.token_hex(32)


def hash_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def check_token(name: str, known: Node | None, shown: str, shared: str | None) -> None:
    """Let the agent of this node through, or not.

    :param known: the node of that name, if there is one
    :param shared: what nodes without a token of their own show; None where that is forbidden
    :raises UnauthorizedError: saying which token is wanted
    """
    own = known.token_hash if known is not None else None
    if own is not None:
        if matches(hash_of(shown), own):
            return
        msg = (
            f"{NODE_TOKEN} is not the token of node {name!r}, which has one of its own; give its agent the"
            " one that POST /admin/runtime-nodes/token answered, or make a new one there"
        )
        raise UnauthorizedError(msg)
    if shared is None:
        msg = (
            f"node {name!r} has no token of its own, and DEPLOY_SHARED_NODE_TOKEN forbids the shared"
            " one; declare the node, then make one by POST /admin/runtime-nodes/token"
        )
        raise UnauthorizedError(msg)
    if not matches(shown, shared):
        msg = f"{NODE_TOKEN} is wrong for node {name!r}, which has no token of its own"
        raise UnauthorizedError(msg)
