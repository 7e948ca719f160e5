"""What the role promises of an engine that was there before it."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["engine-kept-molecule"]


def test_settings_of_the_host_and_of_the_role_are_in_force(host: Host) -> None:
    written = json.loads(host.file("/etc/docker/daemon.json").content_string)

    assert host.check_output("docker info --format '{{.DockerRootDir}}'") == written["data-root"]
    assert written["data-root"] == "/var/lib/docker/own"
    assert written["no-new-privileges"] is True
    assert host.check_output("docker info --format '{{.LiveRestoreEnabled}}'") == "true"
