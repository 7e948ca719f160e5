"""The caller of the request at hand: whether it still waits, and the key by which it asks again."""

from __future__ import annotations

import socket

from flask import request

from funai.contract.headers import IDEMPOTENCY_KEY
from funai.deploy.errors import InvalidRequestError

_MAX_KEY = 128


def is_caller_there() -> bool:
    """Tell whether the caller's end of the connection is open; True where the server cannot say.

    A runner that died while it waited must get no job: the job would wait a whole lease.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return True
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def idempotency_key() -> str | None:
    """Return the key of the header ``Idempotency-Key``, or None.

    :raises InvalidRequestError: where it is too long or not printable
    """
    key = request.headers.get(IDEMPOTENCY_KEY, "").strip()
    if len(key) > _MAX_KEY or not (key.isascii() and key.isprintable()):
        msg = f"{IDEMPOTENCY_KEY} must be at most {_MAX_KEY} printable ASCII characters"
        raise InvalidRequestError(msg)
    return key or None
