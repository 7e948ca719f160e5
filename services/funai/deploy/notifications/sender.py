"""Sends what is due: one thread for each webhook, so that a slow receiver holds up nobody else."""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.background import keep_running
from funai.deploy.errors import UnavailableError
from funai.deploy.notifications import repository
from funai.deploy.notifications.model import pause_seconds
from funai.deploy.notifications.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from funai.deploy.notifications.model import Answer, Delivery, Webhook
    from funai.deploy.parts import Parts

_LOG = logging.getLogger(__name__)
#: Beyond the two timeouts of a try, before another Deploy may take it for lost.
_SLACK_SECONDS = 20


class Sender:
    """Runs until it is stopped. Several senders do no harm: each try is taken by a compare-and-set."""

    def __init__(
        self,
        parts: Parts,
        webhooks: Mapping[str, Webhook],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._parts = parts
        self._webhooks = webhooks
        self._chance = chance
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Send in threads of its own; none where there is no webhook."""
        if not self._webhooks:
            return
        # The system's CAs, which hold those of the team as well.
        context = ssl.create_default_context()
        for name, webhook in self._webhooks.items():
            receiver = Receiver(webhook.url, context, self._parts.settings.webhooks.timeout)
            work = partial(self._run, webhook, receiver)
            self._threads.append(keep_running(f"webhook-{name}", work, self._stop))

    def stop(self) -> None:
        """Take nothing more; safe in a signal handler."""
        self._stop.set()

    def join(self) -> None:
        """Wait until what was being sent is written down, which is not long."""
        ends_at = time.monotonic() + 2 * self._parts.settings.webhooks.timeout + 1
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))

    def _run(self, webhook: Webhook, receiver: Receiver) -> None:
        while not self._stop.wait(self._parts.settings.limits.reaper):
            try:
                while not self._stop.is_set() and self._send_one(webhook, receiver):
                    pass
            except (UnavailableError, DBAPIError) as exc:
                fields = {"webhook": webhook.name, "error": str(exc)}
                _LOG.warning("webhook's round failed", extra={"fields": fields})

    def _send_one(self, webhook: Webhook, receiver: Receiver) -> bool:
        """Send what is due longest; tell whether there was anything."""
        database = self._parts.database
        seconds = round(2 * self._parts.settings.webhooks.timeout) + _SLACK_SECONDS
        taken = database.run(partial(repository.claim, webhook=webhook.name, seconds=seconds))
        if taken is None:
            return False
        delivery, now = taken
        body = delivery.body()
        answer = receiver.post(body, delivery.headers(webhook.secret, now, body))
        outcome = database.run(partial(self._settle, delivery=delivery, answer=answer))
        self._parts.metrics.webhook_tries.labels(outcome).inc()
        if answer.error is not None:
            fields = {
                "webhook": webhook.name,
                "delivery": delivery.delivery_id,
                "event": delivery.notice,
                "attempt": delivery.attempts,
                "outcome": outcome,
                "error": answer.error,
            }
            _LOG.warning("webhook's receiver did not take a delivery", extra={"fields": fields})
        return True

    def _settle(self, connection: Connection, delivery: Delivery, answer: Answer) -> str:
        settings = self._parts.settings.webhooks
        if answer.error is None:
            repository.end(connection, delivery, answer.status, None)
            return "delivered"
        if delivery.attempts >= settings.attempts:
            repository.end(connection, delivery, answer.status, answer.error)
            return "failed"
        pause = pause_seconds(delivery.attempts, settings.backoff, self._chance())
        repository.put_off(connection, delivery, answer.status, answer.error, pause)
        return "put off"
