"""The built documentation under ``/docs/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, redirect, send_from_directory

from funai.api import access
from funai.api.errors import UnknownError

if TYPE_CHECKING:
    from pathlib import Path

    from flask.typing import ResponseReturnValue


def create_blueprint(folder: Path | None) -> Blueprint:
    """Return the pages.

    :param folder: of the built documentation; None: there is none here
    """
    blueprint = Blueprint("docs", __name__)

    @blueprint.get("/docs")
    @access.public
    def without_slash() -> ResponseReturnValue:
        return redirect("/docs/", 308)

    @blueprint.get("/docs/")
    @blueprint.get("/docs/<path:path>")
    @access.public
    def page(path: str = "") -> Response:
        if folder is None:
            msg = "the documentation is not installed here; set api_entry_docs_archive"
            raise UnknownError(msg)
        name = f"{path}index.html" if path == "" or path.endswith("/") else path
        answer = send_from_directory(folder, name, max_age=300, conditional=False)
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer

    return blueprint
