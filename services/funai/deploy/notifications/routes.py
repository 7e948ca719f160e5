"""HTTP of webhooks, for operators. Parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.deploy.access import ADMIN
from funai.deploy.fields import Model, WholeNumber, Word
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from funai.deploy.notifications.model import Delivery
    from funai.deploy.notifications.service import WebhookService


class DeliveriesQuery(Model):
    """How many deliveries to show."""

    limit: WholeNumber = Field(50, ge=1, le=500)


class PingQuery(Model):
    """Which webhook gets a ping."""

    name: Word


def summary(delivery: Delivery) -> dict[str, Any]:
    """Render a delivery: how it went, and not what it holds."""
    return {
        "deliveryId": delivery.delivery_id,
        "id": delivery.notice_id,
        "webhook": delivery.webhook,
        "event": delivery.notice,
        "at": iso(delivery.at),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "nextAttemptAt": iso(delivery.next_attempt_at),
        "lastStatus": delivery.last_status,
        "lastError": delivery.last_error,
        "endedAt": iso(delivery.ended_at),
    }


def create_blueprint(webhooks: WebhookService) -> APIBlueprint:
    """Return the routes under ``/admin/webhooks``."""
    blueprint = APIBlueprint("webhooks", __name__, url_prefix="/admin/webhooks")

    @blueprint.get("/deliveries", summary="The newest deliveries", security=ADMIN)
    def deliveries(query: DeliveriesQuery) -> dict[str, Any]:
        return envelope([summary(found) for found in webhooks.deliveries(query.limit)])

    @blueprint.post("/test", summary="Send a webhook a ping", security=ADMIN)
    def test(query: PingQuery) -> dict[str, Any]:
        return envelope({"webhook": query.name, "deliveryId": webhooks.ping(query.name)})

    return blueprint
