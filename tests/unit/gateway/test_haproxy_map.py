"""The order of file and runtime map, and what happens where HAProxy does not obey."""

from __future__ import annotations

import ipaddress
import tempfile
from typing import TYPE_CHECKING

import pytest

from funai.gateway.haproxy_map import HaproxyMap, UnsavedError
from funai.gateway.map_file import write_map_file
from funai.gateway.routes import InvalidRouteError
from funai.gateway.runtime_socket import (
    GatewayRefusedError,
    GatewayUnavailableError,
    RuntimeSocket,
)
from tests.unit.gateway.fakes import FakeHaproxy, full_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A, B = "198.19.0.2:80/r1", "198.19.0.3:80"


@pytest.fixture
def haproxy(tmp_path: Path) -> FakeHaproxy:
    return FakeHaproxy(tmp_path / "routes.map")


@pytest.fixture
def routes(haproxy: FakeHaproxy) -> HaproxyMap:
    return HaproxyMap(haproxy.path, haproxy, [ipaddress.IPv4Network("198.19.0.0/20")])


def test_file_is_written_before_the_gateway_is_told(
    routes: HaproxyMap, haproxy: FakeHaproxy
) -> None:
    routes.set("a", A)
    routes.set("a", B)
    routes.delete("a")

    assert [(command.split(" ", maxsplit=1)[0], saved) for command, saved in haproxy.writes] == [
        ("add", {"a": A}),
        ("set", {"a": B}),
        ("del", {}),
    ]
    assert haproxy.table == {}


def test_route_is_in_the_file_also_where_the_gateway_is_down(
    routes: HaproxyMap, haproxy: FakeHaproxy
) -> None:
    haproxy.down = True

    with pytest.raises(GatewayUnavailableError):
        routes.set("a", A)

    assert routes.saved() == {"a": A}


def test_gateway_that_did_not_take_the_route_is_found_out(
    routes: HaproxyMap, haproxy: FakeHaproxy
) -> None:
    haproxy.deaf = True

    with pytest.raises(GatewayRefusedError, match="after it was told"):
        routes.set("a", A)


def test_equal_table_is_not_written_again(routes: HaproxyMap, haproxy: FakeHaproxy) -> None:
    routes.replace({"a": A})
    written = len(haproxy.writes)

    routes.replace({"a": A})
    routes.set("a", A)

    assert len(haproxy.writes) == written


def test_replace_commits_all_routes_in_one_step(routes: HaproxyMap, haproxy: FakeHaproxy) -> None:
    haproxy.table = {"old": A}
    table = {f"app{number}": f"198.19.1.{number % 200 + 1}:8080" for number in range(1000)}

    routes.replace(table)

    assert haproxy.table == table
    commands = [command.split(" ", maxsplit=1)[0] for command, _ in haproxy.writes]
    assert commands[0] == "prepare"
    assert commands[-1] == "commit"
    assert set(commands[1:-1]) == {"add"}


def test_one_bad_route_stops_a_replace_before_anything_is_written(
    routes: HaproxyMap, haproxy: FakeHaproxy
) -> None:
    write_map_file(haproxy.path, {"a": A})

    with pytest.raises(InvalidRouteError):
        routes.replace({"a": B, "b": "10.0.0.1:80"})

    assert routes.saved() == {"a": A}
    assert haproxy.writes == []


def test_follower_is_told_what_the_file_cannot_take_and_says_so(
    routes: HaproxyMap, haproxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes.replace({"a": A})
    monkeypatch.setattr(tempfile, "mkstemp", full_disk)

    with pytest.raises(UnsavedError, match=r"routes\.map .*: No space left on device"):
        routes.replace({"a": B}, even_unsaved=True)

    assert routes.live() == {"a": B}
    assert routes.saved() == {"a": A}


def test_gateway_is_told_nothing_else_that_the_file_cannot_take(
    routes: HaproxyMap, haproxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes.replace({"a": A})
    monkeypatch.setattr(tempfile, "mkstemp", full_disk)

    changes: tuple[Callable[[], None], ...] = (
        lambda: routes.set("a", B),
        lambda: routes.delete("a"),
        lambda: routes.replace({"a": B}),
    )
    for change in changes:
        with pytest.raises(OSError, match="No space left on device"):
            change()

    assert routes.live() == routes.saved() == {"a": A}


def test_temporary_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "routes.map"
    path.write_text("shop 198.19.0.2:80\n")
    (tmp_path / ".routes.map.k3j2h1").write_text("half of it")
    (tmp_path / "routes.map.of-somebody-else").touch()

    HaproxyMap(path, RuntimeSocket(tmp_path / "routes.sock")).take_over()

    assert {entry.name for entry in tmp_path.iterdir()} == {
        "routes.map",
        "routes.map.of-somebody-else",
    }
