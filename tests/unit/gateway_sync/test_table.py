"""Which answers of Deploy may change the edge."""

from __future__ import annotations

from typing import Any

import pytest

from funai.gateway_sync.table import InvalidTableError, Table, describe_change, read_answer

KNOWN = Table(7, {"shop": "198.51.100.1:80"})


def envelope(data: object, code: int = 200) -> dict[str, Any]:
    return {"code": code, "message": "", "data": data}


def test_nothing_newer_changes_nothing() -> None:
    assert read_answer(envelope(None), KNOWN, ()) is None


def test_newer_table_is_taken_over() -> None:
    routes = [{"appId": 20002, "address": "198.51.100.2:80"}]

    reading = read_answer(envelope({"version": 8, "routes": routes}), KNOWN, ())

    assert reading is not None
    assert reading.table == Table(8, {"20002": "198.51.100.2:80"})
    assert reading.complaints == ()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="list"),
        pytest.param({"data": {"version": 9, "routes": []}}, id="no-code"),
        pytest.param(envelope({"version": 9, "routes": []}, code=500), id="error"),
        pytest.param(envelope({"version": 9}), id="no-routes"),
        pytest.param(envelope({"version": "9", "routes": []}), id="version-no-number"),
        pytest.param(envelope({"version": True, "routes": []}), id="version-true"),
        pytest.param(envelope({"version": 3, "routes": []}), id="empty-and-older"),
    ],
)
def test_other_answer_is_no_table(body: object) -> None:
    with pytest.raises(InvalidTableError):
        read_answer(body, KNOWN, ())


def test_last_app_may_go() -> None:
    reading = read_answer(envelope({"version": 8, "routes": []}), KNOWN, ())

    assert reading is not None
    assert reading.table.routes == {}


@pytest.mark.parametrize("entry", [None, "shop", {"appId": "shop", "address": "127.0.0.1:80"}])
def test_bad_route_is_named(entry: object) -> None:
    reading = read_answer(envelope({"version": 8, "routes": [entry]}), KNOWN, ())

    assert reading is not None
    assert len(reading.complaints) == 1


def test_change_is_described_route_by_route() -> None:
    assert describe_change({"a": "1", "b": "2", "c": "3"}, {"b": "9", "c": "3", "d": "4"}) == [
        "route of a went: 1",
        "route of b moved: 2 -> 9",
        "route of d came: 4",
    ]
