"""What the role promises of Podman: the Docker API on its socket."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["engine-podman-molecule"]
SOCKET = "/run/podman/podman.sock"


def test_socket_is_there_from_boot_on(host: Host) -> None:
    assert host.service("podman.socket").is_enabled
    assert host.file(SOCKET).is_socket


def test_socket_speaks_the_docker_api(host: Host) -> None:
    answer = host.check_output("curl -sf --unix-socket %s http://engine/v1.41/version", SOCKET)
    assert json.loads(answer)["ApiVersion"].startswith("1.")


def test_docker_is_not_installed(host: Host) -> None:
    assert not host.package("docker.io").is_installed


def test_networks_come_from_the_pool(host: Host) -> None:
    host.check_output("podman network create pool-test")

    made = host.check_output("podman network inspect pool-test")

    host.check_output("podman network rm pool-test")
    assert "198.19." in made
