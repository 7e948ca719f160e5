"""The list of apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template

from funai.api import access

if TYPE_CHECKING:
    from funai.api.parts import Parts


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the page."""
    blueprint = Blueprint("home", __name__)

    @blueprint.get("/")
    @access.signed_in
    def apps() -> str:
        found, total = parts.apps.page(access.account())
        return render_template("home.html", apps=found, total=total)

    return blueprint
