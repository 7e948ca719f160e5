"""What operators may see and do of webhooks: one method each, one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.deploy.errors import NotFoundError
from funai.deploy.notifications import repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.deploy.notifications.model import Delivery, Webhook
    from funai.deploy.parts import Parts


class WebhookService:
    """Shows deliveries, and sends a ping."""

    def __init__(self, parts: Parts, webhooks: Mapping[str, Webhook]) -> None:
        self._parts = parts
        self._webhooks = webhooks

    def deliveries(self, limit: int) -> list[Delivery]:
        """Return deliveries, newest first."""
        return self._parts.database.run(lambda c: repository.newest(c, limit))

    def ping(self, name: str) -> str:
        """Send a ping; return its delivery's id.

        :raises NotFoundError: where no webhook has that name
        """
        if name not in self._webhooks:
            declared = ", ".join(self._webhooks) or "none"
            msg = (
                f"no webhook is named {ascii(name)[:80]}; declared are: {declared}. Ansible declares"
                " them with deploy_webhooks"
            )
            raise NotFoundError(msg)
        return self._parts.database.run(lambda c: self._parts.notices.ping(c, name))
