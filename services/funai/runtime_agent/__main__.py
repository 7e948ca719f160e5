"""Run the agent: ``funai-runtime-agent``."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from waitress import create_server

from funai.runtime_agent.agent import Agent
from funai.runtime_agent.app import LARGEST_BODY_BYTES, create_app
from funai.runtime_agent.config import ConfigError, Settings

if TYPE_CHECKING:
    from types import FrameType

# A deploy holds a thread until the app answers; the rest stay free for health and status.
_THREADS = 16


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        settings = Settings.from_env(os.environ)
    except ConfigError as exc:
        sys.stderr.write(f"funai-runtime-agent: {exc}\n")
        return 2
    agent = Agent(settings)
    server = create_server(
        create_app(settings, agent),
        listen=settings.bind,
        threads=_THREADS,
        max_request_body_size=LARGEST_BODY_BYTES,
        # A body may hold secrets: none is put on disk meanwhile.
        inbuf_overflow=2 * LARGEST_BODY_BYTES,
        ident="",
        # Without it a client that goes away is only noticed when it is written to.
        channel_request_lookahead=1,
        clear_untrusted_proxy_headers=True,
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        agent.stop()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    agent.start()
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
