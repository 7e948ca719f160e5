"""Webhooks: what may be declared, how tries are spaced, when a node is news."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from funai.deploy.config import ConfigError
from funai.deploy.nodes.model import Node
from funai.deploy.notifications.model import (
    MAX_PAUSE_SECONDS,
    SUBSCRIBABLE,
    Delivery,
    Notice,
    pause_seconds,
    signature,
)
from funai.deploy.notifications.webhooks import MAX_WEBHOOKS, read_webhooks

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "0123456789abcdef"
URL = "https://hooks.test:8443/a?access_token=t"
ENTRY = {"name": "ops", "url": URL, "secret": SECRET}
AT = datetime(2026, 3, 1, 12, 0, 0, 1)  # noqa: DTZ001 - as the driver returns it
NODE = Node(1, "n", "http://a", "http://g", enabled=True, weight=1, draining=False, fresh=True,
            last_heartbeat_at=AT)  # fmt: skip


def refusal(folder: Path, text: str) -> str:
    path = folder / "webhooks.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_webhooks(path)
    said = str(caught.value)
    assert str(path) in said
    return said


def test_webhooks_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.json"
    entries = [ENTRY, {**ENTRY, "name": "two", "events": ["job.failed", "node.stale"]}]
    path.write_text(json.dumps(entries))

    found = read_webhooks(path)

    assert list(found) == ["ops", "two"]
    assert (found["ops"].url, found["ops"].secret) == (URL, SECRET)
    assert found["ops"].notices == SUBSCRIBABLE == frozenset(Notice) - {Notice.PING}
    assert found["two"].notices == {Notice.JOB_FAILED, Notice.NODE_STALE}
    assert "t" not in repr(found["two"]).partition("notices")[0].replace("Webhook(name='two'", "")


def test_no_file_is_no_webhook(tmp_path: Path) -> None:
    assert read_webhooks(None) == {}
    assert read_webhooks(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"name": ""}, "name of 1 to 63", id="no name"),
        pytest.param({"name": "Ops"}, "name of 1 to 63", id="upper case"),
        pytest.param({"name": "a\n"}, "name of 1 to 63", id="line end"),
        pytest.param({"name": 5}, "name of 1 to 63", id="number"),
        pytest.param({"url": None}, "(ops) must have a url", id="no url"),
        pytest.param({"url": "file:///etc/passwd"}, "must have a url", id="file"),
        pytest.param({"url": "https:///path"}, "must have a url", id="no host"),
        pytest.param({"url": "https://u:hidden@h/"}, "must have a url", id="password"),
        pytest.param({"url": "https://u@h/"}, "must have a url", id="user"),
        pytest.param({"url": "https://h/#hidden"}, "must have a url", id="fragment"),
        pytest.param({"url": "https://h:0/"}, "must have a url", id="port 0"),
        pytest.param({"url": "https://h:99999/"}, "must have a url", id="port"),
        pytest.param({"url": "https://a..b/"}, "must have a url", id="empty label"),
        pytest.param({"url": f"https://{'a' * 64}.b/"}, "must have a url", id="long label"),
        pytest.param({"url": "https://[h/"}, "must have a url", id="bracket"),
        pytest.param({"url": "https://h/\r\nX: hidden"}, "must have a url", id="header"),
        pytest.param({"url": "https://h/a b"}, "must have a url", id="space"),
        pytest.param({"url": "https://h/é"}, "must have a url", id="not ascii"),
        pytest.param({"url": "https://h/" + "x" * 2048}, "must have a url", id="long"),
        pytest.param({"secret": "hidden"}, "must have at least 16", id="short secret"),
        pytest.param({"secret": None}, "secret is not set", id="no secret"),
        pytest.param({"secret": "CHANGE_ME_0123456789"}, "placeholder", id="placeholder"),
        pytest.param({"events": ["job.done"]}, "must have events of app.paused", id="event"),
        pytest.param({"events": ["ping"]}, "must have events of", id="ping"),
        pytest.param({"events": "job.failed"}, "must have events of", id="no list"),
        pytest.param({"events": [["job.failed"]]}, "must have events of", id="nested"),
    ],
)
def test_a_wrong_webhook_is_named_without_what_is_secret(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    said = refusal(tmp_path, json.dumps([{**ENTRY, **change}]))

    assert "webhook 1" in said
    assert text in said
    assert "hidden" not in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "cannot be read as JSON", id="no json"),
        pytest.param("{}", "a list of at most", id="object"),
        pytest.param('["x"]', "must be an object", id="entry"),
        pytest.param(json.dumps([ENTRY, ENTRY]), "two webhooks named ops", id="twice"),
        pytest.param(
            json.dumps([{**ENTRY, "name": f"n{n}"} for n in range(MAX_WEBHOOKS + 1)]),
            f"at most {MAX_WEBHOOKS}",
            id="many",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_tries_spread_over_about_a_day() -> None:
    pauses = [pause_seconds(attempt, 15.0, 0.5) for attempt in range(1, 8)]

    assert pauses[:4] == [15, 60, 240, 960]
    assert 20 * 3600 < sum(pauses) < 26 * 3600
    assert pause_seconds(2, 15.0, 0.0) == pytest.approx(48)
    assert pause_seconds(2, 15.0, 1.0) == pytest.approx(72)
    assert pause_seconds(10**9, 60.0, 0.5) == MAX_PAUSE_SECONDS


def test_signature_is_that_of_timestamp_dot_body() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
    assert signature(SECRET, 1_700_000_000, b"{}") == (
        "sha256=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
    )


def test_body_is_the_same_at_every_try() -> None:
    first = Delivery(1, "d", "n", "ops", "job.failed", AT, {"errorMessage": "é\n"})
    later = replace(first, attempts=5, last_status=500, last_error="x", next_attempt_at=AT)

    assert first.body() == later.body()
    assert json.loads(first.body()) == {
        "id": "n", "event": "job.failed", "at": "2026-03-01T12:00:00.000001Z",
        "data": {"errorMessage": "é\n"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        pytest.param({}, False, id="fresh"),
        pytest.param({"fresh": False}, True, id="went"),
        pytest.param({"fresh": False, "told_stale": True}, False, id="is told"),
        pytest.param({"told_stale": True}, True, id="back"),
        pytest.param({"fresh": False, "enabled": False}, False, id="switched off"),
        pytest.param({"told_stale": True, "enabled": False}, True, id="back while off"),
        pytest.param({"fresh": False, "last_heartbeat_at": None}, False, id="never beat"),
    ],
)
def test_a_node_is_news_where_it_was_told_otherwise(
    change: dict[str, Any],
    is_news: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert replace(NODE, **change).is_news is is_news
