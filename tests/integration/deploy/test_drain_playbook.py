"""``playbooks/ops/drain_runtime.yml`` against a real Deploy with two nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.revision_calls import app, deploy_built, finish, roll_back
from tests.integration.deploy_process import ADMIN, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.deploy_process import DeployProcess

#: Ansible takes a minute on a busy machine already.
SECONDS = 400
pytestmark = pytest.mark.timeout(600)
PLAYBOOK = "playbooks/ops/drain_runtime.yml"


class NodeStub(AgentStub):
    """A node on which one app runs until it is removed there."""

    def __init__(self) -> None:
        super().__init__()
        self.fences = []
        self.answer = (200, {"state": "NEW", "serving": None})
        self.content_type = "application/json"
        self.log = json.dumps({"exists": True, "running": True}).encode()

    def gone(self) -> bool:
        """Answer from now on that nothing is there, once the app was removed."""
        is_gone = any(path == "/agent/apps/delete" for path, _, _ in self.calls)
        if is_gone:
            self.log = json.dumps({"exists": False, "running": False}).encode()
        return is_gone


@pytest.fixture
def deploy(start_deploy: Callable[..., DeployProcess]) -> DeployProcess:
    """A Deploy whose nodes stay fresh for the whole test, though they beat at its beginning only."""
    return start_deploy(DEPLOY_NODE_STALE_SECONDS="3600")


@pytest.fixture
def node(deploy: DeployProcess) -> Iterator[NodeStub]:
    """The agent of node-1."""
    stub = NodeStub()
    for _ in range(2):
        deploy.beat("node-1", agentBaseUrl=stub.url)
    yield stub
    stub.close()


@pytest.fixture
def other(deploy: DeployProcess, node: NodeStub) -> Iterator[NodeStub]:
    """The agent of node-2, which comes when ``beat`` is called."""
    stub = NodeStub()
    yield stub
    stub.close()


def drain(deploy: DeployProcess, folder: Path) -> subprocess.Popen[str]:
    inventory = folder / "inventory.yml"
    values = {
        "ansible_connection": "local",
        "platform_deploy_url": deploy.url,
        "vault_admin_token": SECRETS["DEPLOY_ADMIN_TOKEN"],
        "vault_deploy_secret": SECRETS["DEPLOY_SECRET"],
        "vault_runtime_token": SECRETS["DEPLOY_RUNTIME_TOKEN"],
    }
    hosts: dict[str, Any] = {name: {} for name in ("node-1", "node-2")}
    inventory.write_text(json.dumps({"runtime": {"hosts": hosts, "vars": values}}))
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            PLAYBOOK,
            "-i",
            str(inventory),
            "-e",
            "drain_target=node-1",
        ],
        env={**os.environ, "ANSIBLE_INVENTORY": str(inventory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def work_until_it_ends(
    deploy: DeployProcess, playbook: subprocess.Popen[str], node: NodeStub, status: str
) -> tuple[dict[str, Any], str]:
    """Be the runner while the playbook runs; return the job that it made, and what it printed."""
    claimed: dict[str, Any] = {}

    def work() -> None:
        pause = threading.Event()
        while playbook.poll() is None:
            job = deploy.claim()[1]["data"]
            if job is not None:
                claimed.update(job)
                result = {"image": job["payload"]["image"], "containerName": "rt"}
                deploy.report(job, status, result=result, errorMessage="no answer")
            node.gone()
            pause.wait(0.2)

    worker = threading.Thread(target=work)
    with playbook:
        worker.start()
        try:
            output, _ = playbook.communicate(timeout=SECONDS)
        finally:
            playbook.kill()
            worker.join(SECONDS)
    return claimed, output


@pytest.mark.parametrize("is_rolled_back", [False, True], ids=["built", "rolled back"])
def test_app_that_was_built_moves_without_a_build(
    deploy: DeployProcess, node: NodeStub, other: NodeStub, tmp_path: Path, *, is_rolled_back: bool
) -> None:
    deploy_built(deploy, 1)
    if is_rolled_back:
        deploy_built(deploy, 2)
        roll_back(deploy, revision=1)
        finish(deploy)
    for _ in range(2):
        deploy.beat("node-2", agentBaseUrl=other.url)

    playbook = drain(deploy, tmp_path)
    job, output = work_until_it_ends(deploy, playbook, node, "SUCCEEDED")

    assert playbook.returncode == 0, output
    assert job["runtimeNode"]["name"] == "node-2"
    assert job["payload"]["rollbackTo"] == 1
    assert "@sha256:" in job["payload"]["image"]
    found = app(deploy)
    assert (found["state"], found["node"]) == ("RUNNING", "node-2")
    assert found["revision"]["number"] == 1
    assert "deployed again by job" in found["reason"]
    assert "moved from node-1 to node-2" in found["reason"]


def test_app_that_cannot_be_moved_is_placed_back_and_the_reason_is_told(
    deploy: DeployProcess, node: NodeStub, other: NodeStub, tmp_path: Path
) -> None:
    deploy_built(deploy, 1)
    for _ in range(2):
        deploy.beat("node-2", agentBaseUrl=other.url)

    playbook = drain(deploy, tmp_path)
    _, output = work_until_it_ends(deploy, playbook, node, "FAILED")

    assert playbook.returncode != 0
    assert "no answer" in " ".join(output.split())
    assert app(deploy)["node"] == "node-1"
    nodes = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]
    assert {found["name"]: found["enabled"] for found in nodes} == {"node-1": True, "node-2": True}
