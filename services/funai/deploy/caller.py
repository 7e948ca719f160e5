"""Whether the caller of the request at hand still waits for its answer."""

from __future__ import annotations

import socket

from flask import request


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
