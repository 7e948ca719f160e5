"""Who works on which app right now, inside this process."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from funai.runtime_agent.errors import BusyError, StaleFenceError, StoppingError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hold:
    """The right to change one app; its holder calls ``check`` between steps."""

    def __init__(self, what: str, *, brief: bool, fence: int | None = None) -> None:
        self.what = what
        self.fence = fence
        #: Held only for moments (reconcile): others wait for it instead of being refused.
        self.brief = brief
        self.cancelled = threading.Event()
        self._error: StaleFenceError | StoppingError | None = None

    def cancel(self, error: StaleFenceError | StoppingError) -> None:
        """Tell the holder to give up with this error."""
        self._error = self._error or error
        self.cancelled.set()

    def check(self) -> None:
        """Raise where the holder was told to give up.

        :raises StaleFenceError: because of a newer request
        :raises StoppingError: because the process ends
        """
        if self._error is not None:
            raise self._error


class Holds:
    """One holder per app."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, Hold] = {}

    def busy(self, app_id: str) -> bool:
        """Return whether somebody works on the app."""
        with self._changed:
            return app_id in self._held

    def cancel_all(self) -> None:
        """Tell every holder to give up: the process ends."""
        with self._changed:
            for hold in self._held.values():
                hold.cancel(StoppingError("the agent is shutting down"))

    @contextmanager
    def take(
        self,
        app_id: str,
        what: str,
        *,
        wait_seconds: float,
        cancel: bool = False,
        fence: int | None = None,
    ) -> Iterator[Hold]:
        """Hold the app for the block.

        :param cancel: tell the present holder to give up, then wait for it
        :param fence: of the request; one that came later may be first to get the hold
        :param wait_seconds: how long to wait for a holder that was told, or is brief
        :raises BusyError: where the app is held by another for longer
        :raises StaleFenceError: where it is held by a newer request
        """
        hold = Hold(what, brief=False, fence=fence)
        with self._owned(app_id, hold, wait_seconds, cancel=cancel):
            yield hold

    @contextmanager
    def take_briefly(self, app_id: str, wait_seconds: float = 0) -> Iterator[Hold]:
        """Hold the app for a moment, or not at all.

        :param wait_seconds: how long to wait for a holder that is brief
        :raises BusyError: where the app is held
        """
        hold = Hold("reconcile", brief=True)
        with self._owned(app_id, hold, wait_seconds, cancel=False) as hold:
            yield hold

    @contextmanager
    def _owned(
        self, app_id: str, hold: Hold, wait_seconds: float, *, cancel: bool
    ) -> Iterator[Hold]:
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            while (holder := self._held.get(app_id)) is not None:
                if hold.fence is not None and hold.fence < (holder.fence or 0):
                    msg = f"{holder.what} of app {app_id} is newer than this request: {hold.what}"
                    raise StaleFenceError(msg, {"fence": hold.fence, "highestFence": holder.fence})
                if cancel:
                    msg = f"{holder.what} of app {app_id} gave way to a newer request: {hold.what}"
                    holder.cancel(StaleFenceError(msg))
                left = deadline - time.monotonic()
                if left <= 0 or not (cancel or holder.brief):
                    msg = f"app {app_id} is busy: {holder.what} is running"
                    raise BusyError(msg, {"operation": holder.what})
                self._changed.wait(left)
            self._held[app_id] = hold
        try:
            yield hold
        finally:
            with self._changed:
                del self._held[app_id]
                self._changed.notify_all()
