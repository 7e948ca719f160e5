"""A node per test on the machine's own engine; nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from tests.integration.gateway.conftest import HAPROXY
from tests.integration.registry_server import PROGRAM, RegistryServer
from tests.integration.runtime_agent import images
from tests.integration.runtime_agent.rig import (
    NETWORK,
    SUBNET,
    FakeDeploy,
    Haproxy,
    Node,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient


@pytest.fixture(scope="session")
def engine() -> Iterator[APIClient]:
    """Return a client of the machine's engine; the tests' network goes at the end."""
    if not images.BUSYBOX.exists() or not Path(HAPROXY).exists():
        pytest.skip("needs the packages busybox-static and haproxy")
    try:
        client = images.connect()
    except docker.errors.DockerException as exc:
        pytest.skip(f"needs a container engine: {exc}")
    yield client
    images.remove_network(client, NETWORK)
    client.close()


@pytest.fixture(scope="session")
def app_image(engine: APIClient) -> Iterator[Callable[[str], str]]:
    """Return the reference of an image by its variant; no registry is there to ask."""
    repository = f"{images.NO_REGISTRY}/funai-test-{os.getpid()}/app"
    references = images.build(engine, repository)
    yield lambda variant: f"{repository}:{variant}"
    for reference in references:
        engine.remove_image(reference, force=True)


@pytest.fixture
def remove_containers(engine: APIClient) -> Iterator[Callable[[str], None]]:
    """Remove the containers of the named nodes at the end."""
    nodes: list[str] = []
    yield nodes.append
    for node in nodes:
        for found in engine.containers(all=True, filters={"label": f"io.funai.node={node}"}):
            engine.remove_container(found["Id"], force=True, v=True)


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Haproxy]:
    """Start the node's gateway."""
    folder = tmp_path / "g"
    folder.mkdir()
    gateway = Haproxy(folder, [SUBNET])
    yield gateway
    gateway.kill()


@pytest.fixture
def fake_deploy() -> Iterator[FakeDeploy]:
    deploy = FakeDeploy()
    yield deploy
    deploy.close()


@pytest.fixture
def node(
    tmp_path: Path,
    haproxy: Haproxy,
    fake_deploy: FakeDeploy,
    remove_containers: Callable[[str], None],
) -> Iterator[Node]:
    """Return a node whose agent runs."""
    folder = tmp_path / "agent"
    folder.mkdir()
    name = f"test-{os.getpid()}-{tmp_path.name}"
    remove_containers(name)
    agent = Node(folder, name, haproxy, fake_deploy).start()
    yield agent
    agent.stop()


@pytest.fixture(scope="module")
def node_of_module(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Return one node for tests that leave no trace on it."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "g").mkdir()
    gateway, deploy = Haproxy(folder / "g", [SUBNET]), FakeDeploy()
    agent = Node(folder, f"test-{os.getpid()}-module", gateway, deploy).start()
    yield agent
    agent.stop()
    gateway.kill()
    deploy.close()


@pytest.fixture(scope="session")
def registry(
    engine: APIClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Run a registry with basic auth on loopback that holds the image variants."""
    if PROGRAM is None:
        pytest.skip("needs the package docker-registry")
    account = {"username": "pull", "password": "secret-of-the-tests"}
    server = RegistryServer(
        tmp_path_factory.mktemp("registry"), account=(account["username"], account["password"])
    ).start()
    host = server.host
    repository = f"{host}/funai-test/app"
    for reference in images.build(engine, repository):
        engine.push(reference, auth_config=account)
        engine.remove_image(reference, force=True)
    yield {"host": host, "account": account, "repository": repository, "process": server.process}
    server.stop()
    for image in engine.images(name=repository):
        engine.remove_image(image["Id"], force=True)
