"""A user can reach only their own preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import websocket

from tests.integration.preview.asking import BROWSER, SIGNED_IN, WAIT_SECONDS, ask, ask_raw
from tests.integration.preview.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.preview.conftest import Access, Nginx

SIGN_IN = "https://console.example/sign-in?next="


def test_own_preview_is_shown(guarded: Nginx, access: Access) -> None:
    answer = ask(guarded, "/ws/7/src/main.ts?t=1", headers=SIGNED_IN)

    assert answer.status == 200
    assert answer.text.startswith("GET /src/main.ts?t=1\n")
    (asked,) = access.asked
    assert asked["path"] == "/internal/preview-access"
    assert asked["x-preview-user"] == "7"
    assert asked["x-preview-token"] == TOKEN
    assert asked["cookie"] == SIGNED_IN["Cookie"]


def test_access_check_is_told_nothing_else_of_the_request(guarded: Nginx, access: Access) -> None:
    headers = {
        **SIGNED_IN,
        "Authorization": "Basic eDp5",
        "X-Preview-User": "8",
        "X-Preview-Token": "mine",
        "X-Forwarded-For": "192.0.2.1",
        "Content-Type": "text/plain",
    }

    answer = ask(guarded, "/ws/7/save", method="POST", body="x" * 100_000, headers=headers)

    assert answer.status == 200
    assert answer.text.endswith("x" * 100_000)
    (asked,) = access.asked
    assert set(asked) <= {"path", "host", "cookie", "x-preview-user", "x-preview-token"}
    assert asked["x-preview-user"] == "7"


def test_preview_of_another_is_refused(guarded: Nginx) -> None:
    page = ask(guarded, "/ws/8/", headers={**SIGNED_IN, **BROWSER})
    data = ask(guarded, "/ws/8/x.js", headers=SIGNED_IN)

    assert (page.status, data.status) == (403, 403)
    assert "the workspace of somebody else" in page.text
    assert '"status":403' in data.text


def test_nobody_learns_which_workspaces_there_are(guarded: Nginx) -> None:
    known = ask(guarded, "/ws/12/", headers={**SIGNED_IN, **BROWSER})
    unknown = ask(guarded, "/ws/13/", headers={**SIGNED_IN, **BROWSER})

    assert known == unknown


@pytest.mark.parametrize(
    ("path", "next_path"),
    [
        pytest.param("/ws/7/", "/ws/7/", id="first page"),
        pytest.param("/ws/7/a/b.html?tab=2", "/ws/7/a/b.html?tab=2", id="with a query"),
        pytest.param("/ws/7/a?x=1&y=2", "/ws/7/", id="what would need encoding"),
        pytest.param("/ws/7/%0d%0aX:1", "/ws/7/", id="encoded line end"),
        pytest.param("/ws/7", "/ws/7/", id="no slash"),
    ],
)
def test_browser_that_is_not_signed_in_is_sent_to_sign_in(
    guarded: Nginx, path: str, next_path: str
) -> None:
    answer = ask(guarded, path, headers=BROWSER)

    assert answer.status == 302
    assert answer.headers["location"] == SIGN_IN + next_path


def test_program_that_is_not_signed_in_gets_no_redirect(guarded: Nginx) -> None:
    answer = ask(guarded, "/ws/7/data.json", headers={"Cookie": "funai_session=other"})

    assert answer.status == 401
    assert '"status":401,"error":"Sign in first"' in answer.text
    assert answer.headers["content-type"].startswith("application/json")


def test_without_a_place_to_sign_in_there_is_a_page(
    start_nginx: Callable[..., Nginx], access: Access
) -> None:
    nginx = start_nginx(workspace_access_url=f"http://127.0.0.1:{access.port}")

    answer = ask(nginx, "/ws/7/", headers=BROWSER)

    assert answer.status == 401
    assert "Sign in to the console" in answer.text


def test_preview_stays_closed_where_the_api_is_down(guarded: Nginx, access: Access) -> None:
    ask(guarded, "/ws/7/", headers=SIGNED_IN)
    access.stop()

    page = ask(guarded, "/ws/7/", headers={**SIGNED_IN, **BROWSER})
    post = ask(guarded, "/ws/7/", method="POST", body="x", headers=SIGNED_IN)

    assert (page.status, page.headers["retry-after"]) == (503, "5")
    assert "so it stays closed" in page.text
    assert (post.status, post.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500, 503])
def test_only_a_plain_yes_opens(guarded: Nginx, access: Access, status: int) -> None:
    access.statuses.append(status)

    answer = ask(guarded, "/ws/7/", headers=SIGNED_IN)

    # nginx takes every 2xx for a yes.
    assert answer.status == (200 if status == 200 else 503)
    assert "what the API says" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/ws/7/../8/", id="dots"),
        pytest.param("/ws/7/%2e%2e/8/", id="encoded dots"),
        pytest.param("/ws/7/..%2f8/", id="encoded slash"),
        pytest.param("/ws/7//../../ws/8/", id="many dots"),
        pytest.param("/ws/7/x?/ws/8/", id="query"),
    ],
)
def test_path_cannot_name_two_users(guarded: Nginx, access: Access, path: str) -> None:
    answer = ask(guarded, path, headers=SIGNED_IN)

    assert answer.status == 200
    assert answer.text.startswith(f"GET {path.removeprefix('/ws/7')}\n")
    assert "x-forwarded-prefix: /ws/7\n" in answer.text
    assert [asked["x-preview-user"] for asked in access.asked] == ["7"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("//ws/7/", id="two slashes"),
        pytest.param("/ws//7/", id="two slashes inside"),
        pytest.param("/./ws/7/", id="dot"),
        pytest.param("/ws/%37/", id="encoded number"),
        pytest.param("/%77s/7/", id="encoded prefix"),
        pytest.param("/x/../ws/7/", id="dots before"),
        pytest.param("/ws/8/../7/../../ws/07/", id="leading zero"),
        pytest.param("/ws/07/", id="another leading zero"),
        pytest.param("/ws/-7/", id="sign"),
        pytest.param("/ws/7x/", id="letters"),
        pytest.param("/ws/", id="none"),
        pytest.param("/", id="root"),
        pytest.param("/_access", id="inner place"),
        pytest.param("/_page/html/asleep", id="inner page"),
        pytest.param("/ws/../_access", id="inner place by dots"),
    ],
)
def test_what_does_not_name_one_user_reaches_nobody(guarded: Nginx, path: str) -> None:
    answer = ask(guarded, path, headers=SIGNED_IN)

    assert answer.status in {403, 404}
    assert "x-forwarded-prefix" not in answer.text


def test_absolute_request_line_is_judged_by_its_path(guarded: Nginx) -> None:
    request = b"GET http://x/ws/8/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    request += b"Cookie: funai_session=seven\r\n\r\n"

    assert ask_raw(guarded, request).startswith(b"HTTP/1.1 403")


def test_websocket_of_the_owner_passes(guarded: Nginx) -> None:
    connection = websocket.create_connection(
        f"ws://127.0.0.1:{guarded.port}/ws/7/hmr",
        timeout=WAIT_SECONDS,
        http_no_proxy="*",
        cookie="funai_session=seven",
    )
    try:
        for message in ("one", "x" * 100_000):
            connection.send(message)
            assert connection.recv() == message
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("user", "cookie", "status"), [(7, "", 401), (8, "funai_session=seven", 403)]
)
def test_websocket_of_others_is_refused(
    guarded: Nginx, user: int, cookie: str, status: int
) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(
            f"ws://127.0.0.1:{guarded.port}/ws/{user}/",
            timeout=WAIT_SECONDS,
            http_no_proxy="*",
            cookie=cookie,
        )

    assert refused.value.status_code == status


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        pytest.param("theme=dark; funai_session=seven", "theme=dark", id="last"),
        pytest.param("funai_session=seven; a=1; b=2", "a=1; b=2", id="first"),
        pytest.param("a=1; funai_session=seven; b=2", "a=1; b=2", id="middle"),
        pytest.param("funai_session=seven", None, id="alone"),
        pytest.param("a=1;funai_session=seven;b=2", "a=1;b=2", id="no spaces"),
        pytest.param(
            "a=1; __Host-funai_session=x; funai_session=seven; b=2", "a=1; b=2", id="both"
        ),
        pytest.param(
            "funai_session=x; a=1; funai_session=y; funai_session=seven", "a=1", id="several"
        ),
        pytest.param("; ".join(["funai_session=seven"] * 9 + ["a=1"]), None, id="too many"),
        pytest.param("a=1, funai_session=seven; funai_session=seven", None, id="comma"),
        pytest.param("FUNAI_SESSION=x; funai_session=seven; a=1", None, id="capitals"),
        pytest.param(
            "my_funai_session=1; funai_session=seven; funai_session_x=2",
            "my_funai_session=1; funai_session_x=2",
            id="similar names stay",
        ),
    ],
)
def test_container_does_not_see_the_session(
    guarded: Nginx, access: Access, sent: str, passed: str | None
) -> None:
    access.statuses.append(204)

    answer = ask(guarded, "/ws/7/", headers={"Cookie": sent})

    lines = [line for line in answer.text.splitlines() if line.startswith("cookie: ")]
    assert lines == ([] if passed is None else [f"cookie: {passed}"])


def test_two_cookie_headers_are_looked_through_both(guarded: Nginx, access: Access) -> None:
    access.statuses.append(204)
    request = b"GET /ws/7/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    request += b"Cookie: a=1\r\nCookie: funai_session=seven\r\nCookie: b=2\r\n\r\n"

    answer = ask_raw(guarded, request)

    assert b"cookie: a=1; b=2\n" in answer
    assert b"seven" not in answer


def test_container_does_not_see_the_headers_of_the_check(guarded: Nginx) -> None:
    headers = {**SIGNED_IN, "X-Preview-User": "7", "X-Preview-Token": "x", "X-Mine": "1"}

    answer = ask(guarded, "/ws/7/", headers=headers)

    assert "x-mine: 1\n" in answer.text
    assert "x-preview" not in answer.text


def test_cookies_of_a_container_are_for_its_own_pages(guarded: Nginx) -> None:
    answer = ask(guarded, "/ws/7/cookies", headers=SIGNED_IN)

    assert answer.headers["set-cookie"].splitlines() == [
        "a=1; Path=/ws/7/",
        "a=1; Path=/ws/7/deep",
        "a=1; Path=/ws/7/x",
    ]


def test_container_cannot_lead_nginx_elsewhere(guarded: Nginx) -> None:
    assert ask(guarded, "/ws/7/elsewhere", headers=SIGNED_IN).text == "own words"


def test_secret_is_not_in_the_settings_that_all_may_read(guarded: Nginx) -> None:
    assert TOKEN not in (guarded.folder / "site.conf").read_text()
    assert TOKEN in (guarded.folder / "access.conf").read_text()
