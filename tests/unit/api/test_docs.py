"""The documentation as the API entry serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask

from funai.api.docs import create_blueprint
from funai.api.errors import UnknownError

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    site = tmp_path / "site"
    (site / "concepts").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Start</h1>")
    (site / "concepts/index.html").write_text("<h1>Concepts</h1>")
    (tmp_path / "secret").write_text("not yours")
    app = Flask("docs")
    app.register_blueprint(create_blueprint(site))
    return app.test_client()


@pytest.mark.parametrize(("path", "title"), [("/docs/", "Start"), ("/docs/concepts/", "Concepts")])
def test_folders_are_their_index(client: FlaskClient, path: str, title: str) -> None:
    with client.get(path) as answer:
        assert title in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/docs/../secret", "/docs/%2e%2e/secret", "/docs//etc/passwd"])
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        text = answer.get_data(as_text=True)
    assert answer.status_code in {301, 308, 404}
    assert "not yours" not in text


def test_where_there_is_none_it_says_so() -> None:
    app = Flask("docs")
    app.register_blueprint(create_blueprint(None))
    app.testing = True
    with pytest.raises(UnknownError, match="not installed"):
        app.test_client().get("/docs/")
