"""Deploy as hosts run it: its own process, on loopback, over a schema of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.integration.ports import free_port

if TYPE_CHECKING:
    from tests.integration.mariadb import MariaDb

SECRETS = {
    "DEPLOY_SECRET": "integration-deploy-secret",
    "DEPLOY_ADMIN_TOKEN": "integration-admin-token",
    "DEPLOY_NODE_TOKEN": "integration-node-token",
    "DEPLOY_RUNNER_TOKEN": "integration-runner-token",
    "DEPLOY_GATEWAY_TOKEN": "integration-gateway-token",
    "DEPLOY_RUNTIME_TOKEN": "integration-runtime-token",
    "DEPLOY_SETTINGS_KEYS": "integration-settings-key-0123456789",
}
API = {"X-DEPLOY-SECRET": SECRETS["DEPLOY_SECRET"]}
ADMIN = {"X-Admin-Token": SECRETS["DEPLOY_ADMIN_TOKEN"]}
NODE = {"X-RT-Node-Token": SECRETS["DEPLOY_NODE_TOKEN"]}
RUNNER = {"X-Runner-Token": SECRETS["DEPLOY_RUNNER_TOKEN"]}
GATEWAY = {"X-Gateway-Token": SECRETS["DEPLOY_GATEWAY_TOKEN"]}
DB_USER = "funai_deploy"
DB_PASSWORD = "integration-database-password"
START_SECONDS = 60
#: How long a call may take on a busy machine.
CALL_SECONDS = 60
#: Longer than a claim waits by itself for the word of nodes, which Deploy asks after its start.
CLAIM_SECONDS = 15
SERVICES = Path(__file__).parents[2] / "services"


@dataclass(frozen=True)
class Schema:
    """A migrated schema and how to reach it."""

    server: MariaDb
    name: str

    def env(self) -> dict[str, str]:
        """Return the ``DEPLOY_DB_*`` settings."""
        return {
            "DEPLOY_DB_HOST": "127.0.0.1",
            "DEPLOY_DB_PORT": str(self.server.port),
            "DEPLOY_DB_NAME": self.name,
            "DEPLOY_DB_USER": DB_USER,
            "DEPLOY_DB_PASSWORD": DB_PASSWORD,
        }

    def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Return the rows of a query in this schema."""
        return self.server.rows(query, *args, schema=self.name)

    def execute(self, *statements: str) -> None:
        """Run statements in this schema."""
        self.server.execute(*statements, schema=self.name)


def process_env(schema: Schema, **settings: str) -> dict[str, str]:
    """Return the whole environment of a Deploy process."""
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVICES), "LANG": "C.UTF-8"}
    return {**path, **SECRETS, **schema.env(), **settings}


def run_command(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``funai-deploy`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "funai.deploy", *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass
class DeployProcess:
    """A running Deploy; calls answer (HTTP status, envelope)."""

    schema: Schema
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the parent process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> DeployProcess:
        """Start, and wait until it answers; its database need not be there."""
        env = process_env(self.schema, DEPLOY_BIND=f"127.0.0.1:{self.port}", **self.settings)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "funai.deploy", "serve"],
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                msg = f"Deploy did not start:\n{self.log.read_text(errors='replace')[-3000:]}"
                raise RuntimeError(msg)
            pause.wait(0.05)
        return self

    def stop(self) -> None:
        """End it in order, and all processes of it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=20)
        self._process = None

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Make one request and return the HTTP status and the envelope."""
        response = requests.request(
            method,
            self.url + path,
            json=body,
            headers=headers or {},
            timeout=options.pop("timeout", CALL_SECONDS),
            **options,
        )
        return response.status_code, response.json()

    def create(self, app_id: object = "20002", **extra: Any) -> tuple[int, dict[str, Any]]:
        """Create a job that deploys an image."""
        payload = {"appId": app_id, "userId": 1, "image": "registry.test/demo:1", **extra}
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
        return self.call("POST", "/deploy/jobs", body, API)

    def beat(self, name: str = "node-1", **figures: Any) -> tuple[int, dict[str, Any]]:
        """Send a node's heartbeat."""
        body = {
            "nodeName": name,
            "agentBaseUrl": "http://127.0.0.1:7005",
            "gatewayBaseUrl": "http://127.0.0.1:80",
            **figures,
        }
        return self.call("POST", "/internal/runtime-nodes/heartbeat", body, NODE)

    def claim(self, runner: str = "runner-1", **extra: Any) -> tuple[int, dict[str, Any]]:
        """Claim a job as a runner."""
        body = {"runnerId": runner, "leaseSeconds": 30, **extra}
        return self.call("POST", "/deploy/jobs/claim", body, RUNNER)

    def claimed(self, runner: str = "runner-1", **extra: Any) -> dict[str, Any]:
        """Claim a job and return it; fails where there is none, or comes none in time."""
        status, envelope = self.claim(runner, **{"waitSeconds": CLAIM_SECONDS, **extra})
        assert (status, envelope["code"]) == (200, 200), envelope
        assert envelope["data"] is not None, "no job to claim"
        job: dict[str, Any] = envelope["data"]
        return job

    def report(self, job: dict[str, Any], status: str, **extra: Any) -> tuple[int, dict[str, Any]]:
        """Report the end of a job as the runner that has it."""
        body = {"runnerId": job["runnerId"], "fence": job["fence"], "status": status, **extra}
        return self.call("POST", f"/deploy/jobs/{job['id']}/report", body, RUNNER)

    def _answers(self) -> bool:
        try:
            return requests.get(self.url + "/internal/health", timeout=2).ok
        except requests.RequestException:
            return False
