"""MariaDB and Deploys on loopback, with a node that beats, and jobs that end without a node's work."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self

import requests

from tests.chaos.parts import ROOT, copy_services, deploy_service, install_database, migrate
from tests.chaos.ports import service_port
from tests.integration.deploy.commit_proxy import CommitProxy
from tests.integration.deploy_process import API, NODE, RUNNER, Schema, process_env
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_SECONDS = 10.0
_RETRY_SECONDS = 0.2
OK = 200


class ControlPlane:
    """Starts with ``with``; ends whatever came up.

    :param deploys: processes of Deploy over the one database
    """

    def __init__(self, folder: Path, deploys: int = 1, **settings: str) -> None:
        self.folder = folder
        self.database = MariaDb(folder)
        self.database.port = service_port()
        self.schema = Schema(self.database, "series")
        self.python_path = f"{copy_services(ROOT / 'services', folder)}:{ROOT}"
        #: Between the Deploys and the database; passes everything on until it is armed.
        self.way = CommitProxy(self.database.port)
        env = process_env(self.schema, DEPLOY_REAPER_SECONDS="0.5", **settings)
        self.env = {**env, "PYTHONPATH": self.python_path, "DEPLOY_DB_PORT": str(self.way.port)}
        ports = [service_port() for _ in range(deploys)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.deploys = [
            deploy_service(f"deploy-{number}", port, self.env, folder)
            for number, port in enumerate(ports)
        ]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self.way.close)
            undo.callback(self.database.stop)
            self.schema = install_database(self.database, "series")
            migrate(self.schema, self.env)
            for deploy in self.deploys:
                undo.callback(deploy.kill)
                deploy.start()
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Repeated:
    """Something that is done again and again in a thread, from entering the block to leaving it."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._thread.join(30)

    def _run(self) -> None:
        with requests.Session() as session:
            while not self.stopped.is_set():
                with contextlib.suppress(requests.RequestException, ValueError):
                    self.turn(session)

    def turn(self, session: requests.Session) -> None:
        """Do it once; what cannot be reached is left to the next turn."""
        raise NotImplementedError


class Beats(Repeated):
    """Heartbeats of a node."""

    def __init__(self, deploy_url: str, node_url: str = "http://127.0.0.1:1") -> None:
        super().__init__()
        self._url = f"{deploy_url}/internal/runtime-nodes/heartbeat"
        self._body = {
            "nodeName": "node-1",
            "agentBaseUrl": node_url,
            "gatewayBaseUrl": node_url,
        }

    def turn(self, session: requests.Session) -> None:
        session.post(self._url, json=self._body, headers=NODE, timeout=_ANSWER_SECONDS)
        self.stopped.wait(1.0)


class Ender(Repeated):
    """A runner whose jobs succeed at once; a report is repeated until it is answered."""

    def __init__(self, deploy_url: str, name: str, lease_seconds: int = 5) -> None:
        super().__init__()
        self._url = f"{deploy_url}/deploy/jobs"
        self._name, self._lease_seconds = name, lease_seconds

    def turn(self, session: requests.Session) -> None:
        claim = {
            "runnerId": self._name,
            "leaseSeconds": self._lease_seconds,
            "waitSeconds": self._lease_seconds // 2,
        }
        code, job = self._say(session, "claim", claim)
        if code != OK:
            self.stopped.wait(_RETRY_SECONDS)
        if job is None:
            return
        word = {"runnerId": self._name, "fence": job["fence"], "status": "SUCCEEDED"}
        while not self.stopped.is_set():
            with contextlib.suppress(requests.RequestException, ValueError):
                if self._say(session, f"{job['id']}/report", word)[0] in {OK, 404, 409}:
                    return
            self.stopped.wait(_RETRY_SECONDS)

    def _say(self, session: requests.Session, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        answer = session.post(
            f"{self._url}/{path}", json=body, headers=RUNNER, timeout=_ANSWER_SECONDS
        )
        content = answer.json()
        return int(content["code"]), content.get("data")


def job_of(deploy_url: str, job_id: str) -> dict[str, Any]:
    """Return a job as its caller sees it."""
    answer = requests.get(f"{deploy_url}/deploy/jobs/{job_id}", headers=API, timeout=10)
    return dict(answer.json()["data"])


def create_job(deploy_url: str, payload: dict[str, Any]) -> str:
    """Create a deploy; return its job's id.

    :raises AssertionError: where it is refused
    """
    body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
    content = requests.post(
        f"{deploy_url}/deploy/jobs", json=body, headers=API, timeout=_ANSWER_SECONDS
    ).json()
    assert content["code"] == OK, content
    return str(content["data"]["id"])
