"""What the role promises of Docker Engine."""

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["engine-molecule"]


@pytest.fixture(scope="module")
def settings(host: Host) -> dict[str, t.Any]:
    loaded: dict[str, t.Any] = json.loads(host.file("/etc/docker/daemon.json").content_string)
    return loaded


def test_engine_answers(host: Host) -> None:
    assert host.service("docker").is_enabled
    assert host.check_output("docker version --format '{{.Server.Version}}'")


def test_engine_listens_on_no_port(host: Host) -> None:
    listening = host.check_output("ss -Hltnp")
    assert "dockerd" not in listening


def test_socket_is_closed_to_others(host: Host) -> None:
    socket = host.file("/run/docker.sock")
    assert socket.mode == 0o660
    assert (socket.user, socket.group) == ("root", "docker")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("icc", False),
        ("live-restore", True),
        ("no-new-privileges", True),
        ("userland-proxy", False),
        ("log-opts", {"max-file": "3", "max-size": "10m"}),
        ("bip", "198.19.255.1/24"),
    ],
)
def test_engine_is_set_as_promised(settings: dict[str, t.Any], name: str, value: object) -> None:
    assert settings[name] == value


def test_no_registry_is_insecure(settings: dict[str, t.Any]) -> None:
    assert "insecure-registries" not in settings


def test_engine_runs_its_settings(host: Host) -> None:
    assert host.check_output("docker info --format '{{.LiveRestoreEnabled}}'") == "true"
    bridge = host.check_output("docker network inspect bridge")
    assert '"com.docker.network.bridge.enable_icc": "false"' in bridge
    assert "198.19.255.0/24" in bridge


def test_registry_is_trusted(host: Host) -> None:
    assert host.file("/etc/docker/certs.d/registry.invalid:5000/ca.crt").exists
