"""Whether somebody may see a preview: what the preview gateway asks before it lets a request through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from funai.api import access
from funai.api.errors import ForbiddenError, SignInRequiredError
from funai.contract import secrets

if TYPE_CHECKING:
    from funai.api.parts import Parts

TOKEN_HEADER = "X-Preview-Token"  # noqa: S105 - the header's name
USER_HEADER = "X-Preview-User"


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the route that the preview gateway asks, and that of health."""
    blueprint = Blueprint("preview", __name__, url_prefix="/internal")

    @blueprint.get("/preview-access")
    @access.public
    def preview_access() -> Response:
        if not secrets.matches(request.headers.get(TOKEN_HEADER), parts.settings.keys.preview):
            msg = f"{TOKEN_HEADER} is missing or wrong"
            raise ForbiddenError(msg)
        account = access.account_or_none()
        if account is None:
            msg = "sign in to the console first"
            raise SignInRequiredError(msg)
        if request.headers.get(USER_HEADER) != str(account.id) and not account.is_operator:
            msg = "this preview is somebody else's"
            raise ForbiddenError(msg)
        return Response(status=204)

    @blueprint.get("/health")
    @access.public
    def health() -> dict[str, object]:
        return {"ok": True, "service": "api"}

    @blueprint.get("/ready")
    @access.public
    def ready() -> dict[str, object]:
        # Reads the accounts: without a migrated database this is 503.
        parts.sessions.account("nobody")
        return {"ok": True, "service": "api", "deploy": parts.deploy.is_ready()}

    return blueprint
