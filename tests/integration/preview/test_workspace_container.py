"""The module ``workspace_container`` on the machine's own engine; nothing is left behind."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import workspace_container
import workspace_container_info
from ansible.module_utils.container_engine import Engine
from ansible.module_utils.testing import patch_module_args
from ansible.module_utils.workspace_host import PortMap

from tests.integration.runtime_agent import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker.api.client import APIClient

#: No user of any platform.
FIRST_USER = 9_000_000_000_000_000
PAGE_SECONDS = 30
REPOSITORY = f"{images.NO_REGISTRY}/funai-test-{os.getpid()}/workspace"
#: As process 1 the server alone would ignore SIGTERM.
_SERVE = "httpd -f -h /workspace -p 5173 & trap 'kill $!; exit 0' TERM; wait"

Run = dict[str, Any]


@pytest.fixture(scope="module")
def engine() -> Iterator[APIClient]:
    """Return a client of the machine's engine, which has two images of a development server."""
    if not images.BUSYBOX.exists():
        pytest.skip("needs the package busybox-static")
    try:
        client = images.connect()
    except docker.errors.DockerException as exc:
        pytest.skip(f"needs a container engine: {exc}")
    for tag in ("1", "2"):
        client.import_image_from_data(
            images.root(),
            repository=REPOSITORY,
            tag=tag,
            changes=[f"ENV RELEASE={tag}", f"CMD {_SERVE}"],
        )
    yield client
    for tag in ("1", "2"):
        client.remove_image(f"{REPOSITORY}:{tag}", force=True)
    client.close()


@pytest.fixture
def user_id(engine: APIClient) -> Iterator[int]:
    """A user of this run, whose container goes at the end."""
    user = FIRST_USER + os.getpid()
    yield user
    for found in engine.containers(all=True, filters={"name": f"ws-u-{user}"}):
        engine.remove_container(found["Id"], force=True, v=True)


@pytest.fixture
def run(
    user_id: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Run]:
    """Run the module as Ansible does and return what it prints."""
    monkeypatch.setattr(workspace_container, "LOCK", str(tmp_path / "lock"))
    (tmp_path / "ports").mkdir()

    def call(**given: Any) -> Run:
        args = {
            "user_id": user_id,
            "root": str(tmp_path / "workspaces"),
            "ports_dir": str(tmp_path / "ports"),
            "engine_accounts": "",
            "_ansible_diff": True,
            **given,
        }
        with patch_module_args(args), pytest.raises(SystemExit):
            workspace_container.main()
        return dict(json.loads(capsys.readouterr().out))

    return call


def page(port: int) -> str:
    """Return what the development server shows as soon as it listens."""
    url = f"http://127.0.0.1:{port}/index.html"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    failure: Exception = TimeoutError()
    pause = threading.Event()
    for _ in range(PAGE_SECONDS * 10):
        try:
            with opener.open(url, timeout=1) as answer:
                return str(answer.read().decode())
        except OSError as exc:
            failure = exc
            pause.wait(0.1)
    raise failure


def test_life_of_a_workspace(
    run: Callable[..., Run], engine: APIClient, user_id: int, tmp_path: Path
) -> None:
    declared = {"image": f"{REPOSITORY}:1", "memory_mib": 32, "environment": {"A": "b c"}}
    folder = tmp_path / "workspaces" / str(user_id)
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("mine")

    made = run(**declared)
    again = run(**declared)
    port = made["workspace"]["host_port"]

    assert made["changed"], made
    assert not again["changed"], again
    assert port >= 20000
    assert page(port) == "mine"
    predicted = run(_ansible_check_mode=True, image=f"{REPOSITORY}:2")
    moved = run(image=f"{REPOSITORY}:2")
    assert predicted["diff"] == moved["diff"]
    assert moved["workspace"]["host_port"] == port
    assert page(port) == "mine"
    found = engine.inspect_container(f"ws-u-{user_id}")
    assert {"A=b c", "RELEASE=2"} <= set(found["Config"]["Env"])
    stopped = run(state="stopped")
    assert (stopped["changed"], stopped["ports_changed"]) == (True, False)
    assert not run(state="stopped")["changed"]
    gone = run(state="absent")
    assert gone["changed"]
    assert not run(state="absent")["changed"]
    assert (folder / "index.html").read_text() == "mine"
    assert not list((tmp_path / "ports").iterdir())


def test_container_of_an_earlier_system_is_refused_or_adopted(
    run: Callable[..., Run], engine: APIClient, user_id: int
) -> None:
    name = f"ws-u-{user_id}"
    limits = engine.create_host_config(port_bindings={5173: ("127.0.0.1", 20999)})
    engine.create_container(f"{REPOSITORY}:1", name=name, host_config=limits, ports=[5173])
    engine.start(name)

    refused = run()
    kept = engine.inspect_container(name)["Config"]["Labels"]
    adopted = run(adopt=True)

    assert refused["failed"]
    assert "Set adopt: true" in refused["msg"]
    assert not kept
    assert adopted["changed"]
    assert adopted["workspace"]["host_port"] == 20999
    assert not run()["changed"]
    ports = PortMap("")
    (row,) = workspace_container_info.read(Engine(), ports, user_id)["workspaces"]
    assert (row["managed"], row["state"], row["host_port"]) == (True, "started", 20999)


def test_image_that_cannot_be_had_is_named(run: Callable[..., Run]) -> None:
    failed = run(image=f"{images.NO_REGISTRY}/funai-test/none:1")

    assert failed["failed"]
    assert f"the image {images.NO_REGISTRY}/funai-test/none:1 cannot be pulled" in failed["msg"]
