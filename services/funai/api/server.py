"""Serves the API entry: gunicorn, one process of threads."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from funai.deploy import logs

if TYPE_CHECKING:
    from types import FrameType

    from flask import Flask

    from funai.api.config import Settings

#: Longer than the longest call to Deploy that is not a stream.
_TIMEOUT_SECONDS = 90
_GRACE_SECONDS = 10
_KEEPALIVE_SECONDS = 75


class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """The API entry under gunicorn; built in the worker, so that the parent stays small."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Flask | None = None
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn what it is to be."""
        options: dict[str, Any] = {
            "bind": list(self._settings.bind),
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "timeout": _TIMEOUT_SECONDS,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": _KEEPALIVE_SECONDS,
            # Who is believed is decided in funai.api.proxy.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "loglevel": "warning",
            "post_worker_init": self._begin,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - a WSGI application
        """Build the application; called in the worker."""
        from funai.api.app import create_app  # noqa: PLC0415 - not in the parent process

        logs.set_up()
        self._app = create_app(self._settings)
        logging.getLogger(__name__).info(
            "serving", extra={"fields": {"bind": list(self._settings.bind)}}
        )
        return self._app

    def _begin(self, worker: Any) -> None:  # noqa: ANN401 - gunicorn has no types
        from funai.api.web import following  # noqa: PLC0415 - not in the parent process

        if self._app is None:
            msg = "the worker began before the application was loaded"
            raise RuntimeError(msg)
        followers = following.of(self._app)

        def end(number: int, frame: FrameType | None) -> None:
            # Who follows a log goes home first, or would hold up the stop for all of the grace.
            followers.close()
            worker.handle_exit(number, frame)

        signal.signal(signal.SIGTERM, end)
