"""An operator looks at the nodes and takes one out; the admin page of before finds its calls answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.conftest import variable

if TYPE_CHECKING:
    from tests.e2e.console import Console

NODE = "runtime-01"
PREFIX = "/api/fun-ai/admin/deploy-nodes"
PAGE = "/admin/nodes-admin.html"


def health_of(name: str) -> str:
    """Return a node's health as Deploy has it."""
    answer = requests.get(
        f"{variable('FUNAI_DEPLOY_URL')}/admin/runtime-nodes/list",
        headers={"X-Admin-Token": variable("FUNAI_ADMIN_TOKEN")},
        timeout=10,
    )
    return next(str(node["health"]) for node in answer.json()["data"] if node["name"] == name)


def test_a_node_is_taken_out_and_put_back(operators_console: Console) -> None:
    page = operators_console.page
    operators_console.open(PAGE)
    row = page.locator("[data-node]", has_text=NODE).first
    expect(row).to_contain_text("Healthy")
    try:
        row.get_by_role("button", name=re.compile("Disable")).click()
        page.get_by_role("dialog").get_by_role("button", name=re.compile("Disable")).click()
        expect(row).to_contain_text("Disabled")
        assert health_of(NODE) == "DISABLED"
    finally:
        enable(NODE)
    expect(row).to_contain_text("Healthy", timeout=20_000)


def enable(name: str) -> None:
    """Put a node back whatever the page did."""
    requests.post(
        f"{variable('FUNAI_DEPLOY_URL')}/admin/runtime-nodes/set-enabled",
        params={"name": name, "enabled": "true"},
        headers={"X-Admin-Token": variable("FUNAI_ADMIN_TOKEN")},
        timeout=10,
    ).raise_for_status()


def test_the_placements_of_a_node_are_listed(operators_console: Console) -> None:
    page = operators_console.page
    operators_console.open(PAGE)
    row = page.locator("[data-node]", has_text=NODE).first
    row.get_by_role("button", name="Apps").click()
    expect(page.get_by_role("main")).to_contain_text("demo")


CALLS = (
    ("GET", "/list", None),
    ("GET", "/runners/list", None),
    ("GET", "/health", None),
    ("GET", "/placements?nodeId={node}&offset=0&limit=200", None),
    ("POST", "/set-enabled?name=runtime-01&enabled=true", None),
    ("POST", "/upsert", {"name": "runtime-01"}),
    ("POST", "/reassign", {"appId": "no-such-app", "targetNodeId": 1}),
    ("POST", "/drain", {"sourceNodeId": 1, "targetNodeId": 1, "limit": 1}),
)


@pytest.mark.expects_refusals
def test_the_calls_of_the_admin_page_of_before_are_answered(operators_console: Console) -> None:
    page = operators_console.page
    operators_console.open("/")
    nodes = page.evaluate(
        f"fetch('{PREFIX}/list').then((answer) => answer.json()).then((body) => body.data)"
    )
    node = next(each["nodeId"] for each in nodes if each["name"] == NODE)
    for method, path, body in CALLS:
        envelope = page.evaluate(
            """async ([method, path, body]) => {
                const options = {method};
                if (body) {
                    options.body = JSON.stringify(body);
                    options.headers = {"Content-Type": "application/json"};
                }
                return (await fetch(path, options)).json();
            }""",
            [method, PREFIX + path.format(node=node), body],
        )
        assert set(envelope) >= {"code", "message", "data"}, path
        expected = 200 if method == "GET" or "set-enabled" in path else None
        assert expected in (None, envelope["code"]), (path, envelope)
