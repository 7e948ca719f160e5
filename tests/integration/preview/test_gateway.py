"""The preview gateway without the access check, and its pages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import websocket

from tests.integration.preview.asking import BROWSER, SIGNED_IN, WAIT_SECONDS, ask
from tests.integration.preview.conftest import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.preview.conftest import Access, Nginx


def test_everybody_gets_through_where_the_check_is_off(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/ws/7/a%2Fb%20c?d=1", headers=SIGNED_IN)

    assert answer.status == 200
    assert answer.text.startswith("GET /a%2Fb%20c?d=1\n")
    assert "x-forwarded-prefix: /ws/7\n" in answer.text
    assert "cookie: theme=dark\n" in answer.text


def test_websocket_passes(open_gateway: Nginx) -> None:
    url = f"ws://127.0.0.1:{open_gateway.port}/ws/7/"
    connection = websocket.create_connection(url, timeout=WAIT_SECONDS, http_no_proxy="*")
    connection.send("hello")

    assert connection.recv() == "hello"
    connection.close()


def test_missing_slash_is_added(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/ws/7?x=1", headers=BROWSER)

    assert (answer.status, answer.headers["location"]) == (308, "/ws/7/?x=1")


def test_errors_of_the_container_are_its_own(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/ws/7/broken", headers=BROWSER)

    assert (answer.status, answer.text) == (500, "own error")


def test_health_is_told(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/internal/health")

    assert json.loads(answer.text) == {"service": "workspace-gateway"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_sleeping_workspace_says_so_and_looks_again(open_gateway: Nginx, method: str) -> None:
    body = None if method == "GET" else "x"
    answer = ask(open_gateway, "/ws/8/", method=method, body=body, headers=BROWSER)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert '<meta http-equiv="refresh" content="5">' in answer.text
    assert "<h1>The workspace sleeps</h1>" in answer.text
    assert "start its development server" in answer.text
    assert "prefers-color-scheme:dark" in answer.text


def test_head_of_a_sleeping_workspace_has_no_body(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/ws/8/", method="HEAD", headers=BROWSER)

    assert (answer.status, answer.text) == (503, "")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh-CN;q=0.8", "en"),
        ("fr,zh-TW;q=0.8,en;q=0.5", "zh"),
        ("ZH", "zh"),
        ("fr", "en"),
    ],
)
def test_page_speaks_the_readers_language(
    open_gateway: Nginx, languages: str, expected: str
) -> None:
    headers = {**BROWSER, "Accept-Language": languages} if languages else BROWSER

    answer = ask(open_gateway, "/ws/8/", headers=headers)

    assert f'<html lang="{expected}">' in answer.text
    assert answer.headers["content-language"] == expected
    assert ("工作区正在休眠" in answer.text) is (expected == "zh")
    assert answer.headers["vary"] == "Accept, Accept-Language"


def test_unknown_workspace_is_404(open_gateway: Nginx) -> None:
    page = ask(open_gateway, "/ws/9/", headers=BROWSER)
    data = ask(open_gateway, "/ws/9/")

    assert page.status == 404
    assert "<h1>No such workspace</h1>" in page.text
    assert "refresh" not in page.text
    assert "retry-after" not in page.headers
    assert json.loads(data.text)["status"] == 404


def test_other_places_are_404(open_gateway: Nginx) -> None:
    answer = ask(open_gateway, "/apps/x/", headers=BROWSER)

    assert answer.status == 404
    assert "<h1>Nothing here</h1>" in answer.text


def test_owner_of_a_sleeping_workspace_is_told_so_behind_the_check(
    guarded: Nginx, access: Access
) -> None:
    access.statuses.append(204)

    asleep = ask(guarded, "/ws/8/", headers=BROWSER)
    unknown = ask(guarded, "/ws/13/", headers=BROWSER)

    assert (asleep.status, unknown.status) == (503, 404)
    assert "sleeps" in asleep.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_whole_in_both_forms(
    start_nginx: Callable[..., Nginx], access: Access, language: str
) -> None:
    nginx = start_nginx(workspace_access_url=f"http://127.0.0.1:{access.port}")
    cases = [(401, "/ws/7/", []), (403, "/ws/8/", [403]), (503, "/ws/7/", [500])]
    cases += [(503, "/ws/8/", [204]), (404, "/ws/13/", [204]), (404, "/", [])]
    seen = set()
    for status, path, says in cases:
        access.statuses[:] = says
        spoken = {"Accept-Language": language}

        page = ask(nginx, path, headers={**BROWSER, **spoken})
        data = json.loads(ask(nginx, path, headers=spoken).text)

        assert page.status == data["status"] == status
        assert f"<title>{data['error']}</title>" in page.text
        assert all(data.values())
        assert "$" not in page.text
        assert len(page.text.encode()) < 4096
        seen.add(data["error"])
    assert len(seen) == len(cases)


def test_parameters_of_the_template_fit_into_nginx() -> None:
    text = environment().loader.get_source(environment(), "pages.nginx.j2")[0]  # type: ignore[union-attr]  # it has one

    assert max(len(found.encode()) for found in re.findall(r"'[^']*'", text)) < 4096
