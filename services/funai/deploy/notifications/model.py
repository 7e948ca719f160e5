"""A webhook, what it is told, and how that is signed. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from funai.contract.status import JobStatus
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from datetime import datetime

#: Each pause after a try that failed is so many times the one before it.
BACKOFF_FACTOR = 4.0
MAX_PAUSE_SECONDS = 24 * 3600.0
#: A pause is longer or shorter by at most this part of it, so that not all come back at once.
JITTER = 0.2
MAX_ERROR = 512


class Notice(StrEnum):
    """What a webhook may be told of."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    APP_PAUSED = "app.paused"
    NODE_STALE = "node.stale"
    NODE_BACK = "node.back"
    PING = "ping"  #: only where an operator asks for it


#: What a webhook may subscribe to.
SUBSCRIBABLE = frozenset(Notice) - {Notice.PING}
OF_JOB = {
    JobStatus.SUCCEEDED: Notice.JOB_SUCCEEDED,
    JobStatus.FAILED: Notice.JOB_FAILED,
    JobStatus.CANCELLED: Notice.JOB_CANCELLED,
}


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "PENDING"  #: to be sent, or sent again
    DELIVERED = "DELIVERED"  #: the receiver answered 2xx
    FAILED = "FAILED"  #: it did not, as often as it was tried


@dataclass(frozen=True)
class Webhook:
    """Where notices go."""

    name: str
    #: May hold a permission in its path or query, so it is shown nowhere.
    url: str = field(repr=False)
    secret: str = field(repr=False)
    notices: frozenset[Notice] = SUBSCRIBABLE


@dataclass(frozen=True)
class Delivery:
    """A delivery's row: one notice for one webhook."""

    seq: int
    #: The same at every try, and another for each webhook.
    delivery_id: str
    #: The same for every webhook.
    notice_id: str
    webhook: str
    notice: str
    at: datetime
    data: dict[str, Any]
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    ended_at: datetime | None = None

    def body(self) -> bytes:
        """Return what is sent; the same at every try."""
        told = {
            "id": self.notice_id,
            "event": self.notice,
            "at": iso(self.at),
            "data": self.data,
        }
        return json.dumps(told, separators=(",", ":")).encode()

    def headers(self, secret: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers of one try.

        :param timestamp: seconds since the epoch, of this try
        """
        return {
            "Content-Type": "application/json",
            "User-Agent": "funai-deploy",
            "X-Funai-Event": self.notice,
            "X-Funai-Delivery": self.delivery_id,
            "X-Funai-Timestamp": str(timestamp),
            "X-Funai-Signature": signature(secret, timestamp, body),
        }


@dataclass(frozen=True)
class Answer:
    """What came of one try."""

    #: HTTP status; None where there was no answer.
    status: int | None
    #: Why the try failed; None where it did not.
    error: str | None


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``X-Funai-Signature``."""
    signed = f"{timestamp}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def pause_seconds(attempt: int, first: float, chance: float) -> float:
    """Return how long to wait after a try that failed.

    :param attempt: number of that try, from 1
    :param first: seconds of the pause after the first try
    :param chance: from 0 to 1
    """
    # Beyond any bound of the settings the power would leave the range of a float.
    pause = min(first * math.pow(BACKOFF_FACTOR, min(attempt - 1, 20)), MAX_PAUSE_SECONDS)
    return pause * (1.0 + JITTER * (2.0 * chance - 1.0))
