"""What may become a route, and how a map file is read and written."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from funai.gateway.map_file import read_map_file, write_map_file
from funai.gateway.routes import (
    InvalidRouteError,
    Route,
    check_address,
    check_app_id,
    check_route,
    parse_table,
    render_table,
)

if TYPE_CHECKING:
    from pathlib import Path

APPS = (ipaddress.IPv4Network("198.19.0.0/20"),)


@pytest.mark.parametrize("app_id", ["a", "20002", "my-app_2", "A" * 63])
def test_app_id_of_the_platform_is_accepted(app_id: str) -> None:
    assert check_app_id(app_id) == app_id


@pytest.mark.parametrize(
    "app_id", ["", "-a", "a b", "a\n", "a;b", "a/b", "..", "a" * 64, "é", "a\x00", "#1"]
)
def test_app_id_that_could_be_a_command_is_refused(app_id: str) -> None:
    with pytest.raises(InvalidRouteError, match="app id"):
        check_app_id(app_id)


@pytest.mark.parametrize("address", ["198.19.0.2:80", "198.19.15.254:65535"])
def test_address_inside_the_network_is_accepted(address: str) -> None:
    assert check_address(address, APPS) == address


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("198.19.16.1:80", id="outside"),
        pytest.param("127.0.0.1:80", id="loopback"),
        pytest.param("198.19.0.2", id="no-port"),
        pytest.param("198.19.0.2:0", id="port-zero"),
        pytest.param("198.19.0.2:65536", id="port-too-high"),
        pytest.param("198.19.0.2:80\n", id="newline"),
        pytest.param("198.19.0.2:80;clear map", id="command"),
        pytest.param("198.19.0.256:80", id="no-address"),
        pytest.param("198.019.0.2:80", id="octal"),
        pytest.param("host:80", id="name"),
        pytest.param("[::1]:80", id="ipv6"),
    ],
)
def test_other_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRouteError, match="address"):
        check_address(address, APPS)


@pytest.mark.parametrize(
    ("value", "address", "release"),
    [
        pytest.param("198.19.0.2:80", "198.19.0.2:80", "", id="of-an-earlier-agent"),
        pytest.param(
            "198.19.0.2:80/r7-0123456789ab", "198.19.0.2:80", "r7-0123456789ab", id="both"
        ),
        pytest.param(f"198.19.0.2:80/{'r' * 64}", "198.19.0.2:80", "r" * 64, id="longest"),
    ],
)
def test_route_is_taken_apart_and_put_together(value: str, address: str, release: str) -> None:
    route = Route.parse(value)

    assert (route.address, route.release) == (address, release)
    assert str(route) == check_route(value, APPS) == value


@pytest.mark.parametrize(
    "release",
    [
        pytest.param("", id="empty"),
        pytest.param("r" * 65, id="too-long"),
        pytest.param("-r", id="dash-first"),
        pytest.param("r 1", id="space"),
        pytest.param("r1\n", id="newline"),
        pytest.param("r1;del", id="command"),
        pytest.param("r1/r2", id="second-slash"),
        pytest.param("é", id="not-ascii"),
        pytest.param("%[env(HOME)]", id="format"),
    ],
)
def test_odd_release_is_refused(release: str) -> None:
    with pytest.raises(InvalidRouteError, match="release"):
        check_route(f"198.19.0.2:80/{release}", APPS)


def test_plain_address_has_no_release() -> None:
    with pytest.raises(InvalidRouteError, match="not <ipv4>:<port>"):
        check_address("198.19.0.2:80/r1", APPS)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])  # noqa: S104
def test_without_networks_only_routable_addresses_are_accepted(host: str) -> None:
    assert check_address("192.0.2.7:80") == "192.0.2.7:80"
    with pytest.raises(InvalidRouteError):
        check_address(f"{host}:80")


def test_table_survives_its_file(tmp_path: Path) -> None:
    table = {"b": "198.19.0.3:80", "a": "198.19.0.2:8080/r2"}

    write_map_file(tmp_path / "routes.map", table)

    assert (tmp_path / "routes.map").read_text() == render_table(table)
    assert read_map_file(tmp_path / "routes.map") == table


def test_damaged_lines_are_left_out() -> None:
    lines = [
        "a 198.19.0.2:80",
        "half",
        "x 198.1",
        "b 198.19.0.3:80/",
        "# c",
        "a b c",
        "",
        "é 198.19.0.2:80",
    ]

    assert parse_table(lines) == {"a": "198.19.0.2:80"}


def test_missing_file_has_no_routes(tmp_path: Path) -> None:
    assert read_map_file(tmp_path / "none") == {}


def test_mode_of_the_file_is_kept_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "routes.map"
    path.touch()
    path.chmod(0o640)

    write_map_file(path, {"a": "198.19.0.2:80"})

    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
