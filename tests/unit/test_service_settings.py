"""What the roles write into a service's environment is what the service reads, and the reverse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SERVICES = [
    pytest.param("deploy", "deploy", "DEPLOY", id="deploy"),
    pytest.param("runner", "runner", "RUNNER", id="runner"),
    pytest.param("runner", "builder", "BUILDER", id="builder"),
    pytest.param("runtime", "runtime_agent", "AGENT", id="runtime-agent"),
    pytest.param("api", "gateway_sync", "GATEWAY", id="gateway-sync"),
]

SECRET_FILES = (".env.j2", "registries", "webhooks")


def written(role: str, prefix: str) -> set[str]:
    templates = Path("roles", role, "templates").glob("*.env.j2")
    return {
        name
        for path in templates
        for name in re.findall(rf"^({prefix}_[A-Z_]+)=", path.read_text(), re.MULTILINE)
    }


def read(service: str, prefix: str) -> set[str]:
    text = Path("services/funai", service, "config.py").read_text()
    return set(re.findall(rf'"({prefix}_[A-Z_]+)"', text))


@pytest.mark.parametrize(("role", "service", "prefix"), SERVICES)
def test_role_writes_what_the_service_reads(role: str, service: str, prefix: str) -> None:
    assert written(role, prefix) == read(service, prefix)


@pytest.mark.parametrize(("role", "service", "prefix"), SERVICES)
def test_every_task_with_a_secret_hides_it(role: str, service: str, prefix: str) -> None:
    tasks = Path("roles", role, "tasks/configure.yml").read_text().split("- name: ")
    secret = [task for task in tasks if any(part in task for part in SECRET_FILES)]

    assert secret
    for task in secret:
        assert "no_log: true" in task, task
        assert "diff: false" in task, task
