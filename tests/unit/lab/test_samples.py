"""The sample repositories hold apps that work below any path."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lab import base_images, layout

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

SAMPLES = layout.ROOT / "roles/forge/files/samples"
each_sample = pytest.mark.parametrize(
    "sample", sorted(SAMPLES.iterdir()), ids=lambda path: path.name
)
PREFIXES = [
    pytest.param({}, "/", ["/", "/about"], id="at the root"),
    pytest.param({"X-Forwarded-Prefix": "/apps/7"}, "/", ["/apps/7/", "/apps/7/about"], id="below"),
    pytest.param(
        {"X-Forwarded-Prefix": "/apps/7"}, "/apps/7/about", ["/apps/7/", "/apps/7/about"], id="left"
    ),
    pytest.param(
        {"X-Forwarded-Prefix": "/apps/7"}, "/apps/77", None, id="path of another that looks alike"
    ),
]
#: Gives the handler one request without a socket and prints what it answered.
NODE_REQUEST = """
const { handle } = require(process.argv[1]);
const [method, url, headers] = JSON.parse(process.argv[2]);
const answer = {
  writeHead(status, headers) { this.status = status; this.headers = headers; },
  end(body) { console.log(JSON.stringify({ status: this.status, body })); },
};
handle({ method, url, headers }, answer);
"""


def python_app(base_path: str) -> FlaskClient:
    spec = importlib.util.spec_from_file_location("sample", SAMPLES / "sample-python/app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.create_app(base_path)
    return app.test_client()


def node_answer(path: str, headers: dict[str, str], **environment: str) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    lowered = {name.lower(): value for name, value in headers.items()}
    argv = [node, "-e", NODE_REQUEST, str(SAMPLES / "sample-node/server.js")]
    question = json.dumps(["GET", path, lowered])
    answer = subprocess.run([*argv, question], env=environment, capture_output=True, check=True)
    return dict(json.loads(answer.stdout))


def links(page: str) -> list[str]:
    return re.findall(r'<a href="([^"]+)"', page)


@pytest.mark.parametrize(("headers", "path", "expected"), PREFIXES)
def test_python_links_work_where_the_app_is_mounted(
    headers: dict[str, str], path: str, expected: list[str] | None
) -> None:
    answer = python_app("").get(path, headers=headers)

    assert answer.status_code == (404 if expected is None else 200)
    assert links(answer.text) == (expected or [])


@pytest.mark.parametrize(("headers", "path", "expected"), PREFIXES)
def test_node_links_work_where_the_app_is_mounted(
    headers: dict[str, str], path: str, expected: list[str] | None
) -> None:
    answer = node_answer(path, headers)

    assert answer["status"] == (404 if expected is None else 200)
    assert links(answer["body"]) == (expected or [])


def test_base_path_counts_where_a_request_names_none() -> None:
    python = python_app("/apps/7/").get("/").text
    node = node_answer("/", {}, BASE_PATH="/apps/7/")["body"]

    assert links(python) == links(node) == ["/apps/7/", "/apps/7/about"]


def test_prefix_cannot_break_out_of_a_link() -> None:
    headers = {"X-Forwarded-Prefix": '/"><script>'}

    assert "<script>" not in python_app("").get("/", headers=headers).text
    assert "<script>" not in node_answer("/", headers)["body"]


def test_commit_is_shown() -> None:
    assert "abc123" in node_answer("/", {}, APP_COMMIT="abc123")["body"]
    assert "unknown" in node_answer("/", {})["body"]
    assert "unknown" in python_app("").get("/").text


def test_health_path_answers() -> None:
    assert python_app("").get("/healthz").json == {"status": "ok", "commit": ""}
    assert json.loads(node_answer("/healthz", {})["body"]) == {"status": "ok", "commit": ""}


@each_sample
def test_sample_builds_on_a_base_image_and_runs_without_rights(sample: Path) -> None:
    lines = (sample / "Dockerfile").read_text().splitlines()

    known = {f"{image.name}:{tag}" for image in base_images.base_images() for tag in image.tags}
    assert lines[0].removeprefix("FROM ") in known
    assert "USER 65534:65534" in lines
    assert "ARG GIT_COMMIT" in "\n".join(lines)


def test_role_offers_every_sample() -> None:
    specs = yaml.safe_load((layout.ROOT / "roles/forge/meta/argument_specs.yml").read_text())
    option = specs["argument_specs"]["main"]["options"]["forge_sample_repositories"]

    assert sorted(option["choices"]) == sorted(path.name for path in SAMPLES.iterdir())
