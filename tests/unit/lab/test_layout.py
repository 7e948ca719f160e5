from __future__ import annotations

import ipaddress
import stat
from typing import TYPE_CHECKING

import pytest

from lab import layout
from lab.certificates import missing_from
from lab.hosts import run_argv, usable_nameservers

if TYPE_CHECKING:
    from pathlib import Path


def test_addresses_of_the_largest_lab_never_meet() -> None:
    hosts = layout.lab_hosts(layout.MAX_PER_GROUP, layout.MAX_PER_GROUP)
    addresses = [host.address for host in hosts]

    assert len(set(addresses)) == len(addresses)
    network = ipaddress.ip_network(layout.SUBNET)
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    assert layout.OPERATOR not in addresses


def test_inventory_lists_exactly_the_smallest_lab() -> None:
    text = layout.INVENTORY.read_text()

    listed = {line for line in text.splitlines() if "ansible_host=" in line}

    assert listed == {f"{h.name} ansible_host={h.address}" for h in layout.lab_hosts()}


def test_size_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="--runtimes takes 1 to 9, not 0"):
        layout.lab_hosts(runtimes=0)


def test_private_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "token"

    layout.write_private(path, b"first")
    layout.write_private(path, b"second")

    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["token"]


def test_only_the_edge_is_published_and_only_on_loopback() -> None:
    published = {}
    for host in layout.lab_hosts():
        argv = run_argv(host, "image:tag", [])
        published[host.group] = [argv[i + 1] for i, word in enumerate(argv) if word == "-p"]

    edge = ["127.0.0.1:8080:80", "127.0.0.1:8443:443"]
    console = ["127.0.0.1:8081:8080", "127.0.0.1:8444:8443"]
    assert published.pop("api") == edge + console
    assert not any(published.values())


def test_loopback_resolvers_are_not_given_to_hosts() -> None:
    text = "search lan\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n"

    assert usable_nameservers(text) == ["192.0.2.1", "fe80::1%eth0"]
    assert usable_nameservers("nameserver 127.0.0.11\noptions ndots:0\n") == []


def test_only_certificates_beyond_debians_are_passed_on() -> None:
    def pem(body: str) -> str:
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    shipped = pem("QUJD\nREVG") + pem("R0hJ")
    bundle = "# a comment\n" + pem("QUJDREVG") + pem("SktM")

    assert missing_from(shipped, bundle) == [pem("SktM")]
