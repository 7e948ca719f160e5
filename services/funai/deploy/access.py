"""Who may call what: the proof that each route demands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from funai.contract import headers
from funai.contract.secrets import matches
from funai.deploy.errors import UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.deploy.config import RunnerAccess, Secrets

#: For the OpenAPI document; the words are those of ``SCHEMES``.
DEPLOY: list[dict[str, list[str]]] = [{"deploySecret": []}]
ADMIN: list[dict[str, list[str]]] = [{"adminToken": []}]
NODE: list[dict[str, list[str]]] = [{"nodeToken": []}]
RUNNER: list[dict[str, list[str]]] = [{"runnerToken": []}]
GATEWAY: list[dict[str, list[str]]] = [{"gatewayToken": []}]

SCHEMES: dict[str, Any] = {
    "deploySecret": {"type": "apiKey", "in": "header", "name": headers.DEPLOY_SECRET},
    "adminToken": {"type": "apiKey", "in": "header", "name": headers.ADMIN_TOKEN},
    "nodeToken": {"type": "apiKey", "in": "header", "name": headers.NODE_TOKEN},
    "runnerToken": {"type": "apiKey", "in": "header", "name": headers.RUNNER_TOKEN},
    "gatewayToken": {"type": "apiKey", "in": "header", "name": headers.GATEWAY_TOKEN},
}

#: Blueprints that ask for nothing: health, figures and this service's own description.
OPEN_BLUEPRINTS = frozenset({"system", "openapi", "swagger"})


class Gatekeeper:
    """Refuses requests that do not show what their route demands.

    The rule hangs on the blueprint, so a new route is guarded before anybody thinks of it, and one in
    a blueprint without a rule is refused.
    """

    def __init__(
        self, secrets: Secrets, runners: RunnerAccess, knows_node_token: Callable[[str], bool]
    ) -> None:
        self._runners = runners
        self._runner_token = secrets.runner
        deploy = _demand(headers.DEPLOY_SECRET, secrets.deploy)
        admin = _demand(headers.ADMIN_TOKEN, secrets.admin)
        self._rules: dict[str, Callable[[], None]] = {
            "jobs": deploy,
            "apps": deploy,
            "revisions": deploy,
            "app_logs": deploy,
            "job_logs": deploy,
            "job_log_intake": self._check_runner,
            "nodes": admin,
            "placements": admin,
            "runners": admin,
            "webhooks": admin,
            "heartbeats": _demand(headers.NODE_TOKEN, secrets.node, knows_node_token),
            "route_table": _demand(headers.GATEWAY_TOKEN, secrets.gateway),
            "leases": self._check_runner,
            "app_settings": deploy,
            # Secrets of apps: who may come without the token during a migration does not get them.
            "job_app_settings": _demand(headers.RUNNER_TOKEN, secrets.runner),
        }

    def check(self) -> None:
        """Let the request of this context through, or not.

        :raises UnauthorizedError: naming the header that is missing or wrong
        """
        if request.endpoint is None or request.blueprint in OPEN_BLUEPRINTS:
            return
        rule = self._rules.get(request.blueprint or "")
        if rule is None:
            msg = f"{request.path} is closed"
            raise UnauthorizedError(msg)
        rule()

    def _check_runner(self) -> None:
        shown = request.headers.get(headers.RUNNER_TOKEN)
        if shown is not None:
            if matches(shown, self._runner_token):
                return
            msg = f"{headers.RUNNER_TOKEN} is wrong"
            raise UnauthorizedError(msg)
        if self._runners.mode == "basic" and self._shows_basic():
            return
        # The socket's peer, never a header that a caller can write.
        if self._runners.mode == "address" and request.remote_addr in self._runners.addresses:
            return
        msg = f"{headers.RUNNER_TOKEN} is missing"
        raise UnauthorizedError(msg)

    def _shows_basic(self) -> bool:
        shown = request.authorization
        if shown is None or shown.type != "basic":
            return False
        user = matches(shown.username, self._runners.basic_user)
        password = matches(shown.password, self._runners.basic_password)
        return user and password


def _demand(
    name: str, secret: str, is_other: Callable[[str], bool] = lambda _shown: False
) -> Callable[[], None]:
    """Return a check of a header.

    :param is_other: whether a value beside the secret is let through; what it may do is for the route
    """

    def check() -> None:
        shown = request.headers.get(name)
        if not shown:
            msg = f"{name} is missing"
            raise UnauthorizedError(msg)
        if not matches(shown, secret) and not is_other(shown):
            msg = f"{name} is wrong"
            raise UnauthorizedError(msg)

    return check
