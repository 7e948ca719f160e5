"""Serves Deploy: gunicorn, one process of threads, and those of the application beside them."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from funai.deploy import logs

if TYPE_CHECKING:
    from types import FrameType

    from funai.deploy.app import Deploy
    from funai.deploy.config import Settings

#: Longer than the longest request: a stop of an app waits for its agent.
_TIMEOUT_SECONDS = 120
_GRACE_SECONDS = 25
#: Bytes, the most that gunicorn bounds: a list of a hundred apps has that much of ids.
_REQUEST_LINE = 8190
_KEEPALIVE_SECONDS = 75


class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """Deploy under gunicorn.

    The application is built in the worker, so the parent stays small and holds no connection.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deploy: Deploy | None = None
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn what it is to be."""
        options: dict[str, Any] = {
            "bind": self._settings.bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.limits.threads,
            "timeout": _TIMEOUT_SECONDS,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": _KEEPALIVE_SECONDS,
            "limit_request_line": _REQUEST_LINE,
            # Nobody's X-Forwarded-* is believed: the peer of the socket is the caller.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "loglevel": "warning",
            "post_worker_init": self._begin,
            "worker_exit": self._end,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - a WSGI application
        """Build the application; called in the worker."""
        from funai.deploy.app import create_app  # noqa: PLC0415 - not in the parent process

        logs.set_up()
        self._deploy = create_app(self._settings)
        return self._deploy.app

    def _begin(self, worker: Any) -> None:  # noqa: ANN401 - gunicorn has no types
        deploy = self._deploy
        if deploy is None:
            msg = "the worker began before the application was loaded"
            raise RuntimeError(msg)
        deploy.reaper.start()
        deploy.sender.start()
        deploy.closer.start()
        deploy.sweeper.start()
        logging.getLogger(__name__).info("serving", extra={"fields": {"bind": self._settings.bind}})

        def end(number: int, frame: FrameType | None) -> None:
            # Requests that wait go home first, or they would hold up the stop for half a minute.
            deploy.parts.close()
            deploy.reaper.stop()
            deploy.sender.stop()
            deploy.closer.stop()
            deploy.sweeper.stop()
            worker.handle_exit(number, frame)

        signal.signal(signal.SIGTERM, end)

    def _end(self, _server: Any, _worker: Any) -> None:  # noqa: ANN401 - gunicorn has no types
        if self._deploy is not None:
            self._deploy.sender.stop()
            self._deploy.sender.join()
