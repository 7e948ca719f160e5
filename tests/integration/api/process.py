"""Starts the API entry, and browsers and programs that call it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import requests
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from funai.api.accounts.model import Role
from funai.api.accounts.service import AccountService
from funai.api.tokens.service import TokenService
from funai.deploy.config import DatabaseSettings
from funai.deploy.database import Database, url_of
from tests.integration.deploy_process import SECRETS, SERVICES
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.deploy_process import DeployProcess, Schema

PASSWORD = "correct horse battery"
#: Name, role and id of the accounts of a test.
ACCOUNTS = (("ada", Role.OPERATOR, 1), ("bob", Role.USER, 2), ("eve", Role.USER, 3))
PREVIEW_TOKEN = "integration-preview-token"
PUBLIC_URL = "http://apps.example"
_START_SECONDS = 60
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def database_env(schema: Schema) -> dict[str, str]:
    """Return the ``API_DB_*`` settings."""
    return {name.replace("DEPLOY_", "API_", 1): value for name, value in schema.env().items()}


def run_api_command(schema: Schema, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``funai-api``."""
    return subprocess.run(
        [sys.executable, "-m", "funai.api", *argv],
        env={**os.environ, "PYTHONPATH": str(SERVICES), **database_env(schema), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class ApiProcess:
    """One API entry."""

    def __init__(self, schema: Schema, deploy: DeployProcess, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.deploy = deploy
        self._schema = schema
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._browsers: list[Browser] = []

    def add_accounts(self) -> None:
        """Make the accounts of :data:`ACCOUNTS`, all with one password."""
        accounts = self.accounts()
        for name, role, account_id in ACCOUNTS:
            accounts.create(name, role, PASSWORD, account_id)

    def accounts(self, **options: float) -> AccountService:
        """Return the accounts as the service has them, but in this process."""
        return AccountService(self._database(), **options)

    def _database(self) -> Database:
        env = self._schema.env()
        settings = DatabaseSettings(
            host=env["DEPLOY_DB_HOST"],
            port=int(env["DEPLOY_DB_PORT"]),
            name=env["DEPLOY_DB_NAME"],
            user=env["DEPLOY_DB_USER"],
            password=env["DEPLOY_DB_PASSWORD"],
        )
        return Database(create_engine(url_of(settings), poolclass=NullPool))

    def env(self) -> dict[str, str]:
        """Return the settings."""
        return {
            **database_env(self._schema),
            "API_BIND": f"127.0.0.1:{self.port}",
            "API_DEPLOY_URL": self.deploy.url,
            "API_DEPLOY_SECRET": SECRETS["DEPLOY_SECRET"],
            "API_ADMIN_TOKEN": SECRETS["DEPLOY_ADMIN_TOKEN"],
            "API_SESSION_KEY": "integration-session-key",
            "API_ENCRYPTION_KEYS": "integration-encryption-key",
            "API_PREVIEW_TOKEN": PREVIEW_TOKEN,
            "API_PUBLIC_URL": PUBLIC_URL,
        }

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "funai.api", "serve"],
                env={**os.environ, "PYTHONPATH": str(SERVICES), **self.env(), **settings},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/internal/health", timeout=1).ok:
                    return
            except requests.RequestException:
                threading.Event().wait(0.05)
            if self._process.poll() is not None:
                break
        msg = f"the API entry did not start: {self._log.read_text()[-2000:]}"
        raise RuntimeError(msg)

    def stop(self) -> None:
        """End it, and hang up the browsers that it gave out."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)
        for browser in self._browsers:
            browser.session.close()

    def program(self, name: str) -> Program:
        """Return a program that shows a new token of an account."""
        account = next(found for found in self.accounts().all() if found.name == name)
        tokens = TokenService(self._database())
        for old in tokens.of(account):
            tokens.remove(account, old.id)
        return Program(self.url, tokens.make(account, "test"))

    def browser(self, name: str | None = None) -> Browser:
        """Return a browser, signed in where an account is named."""
        found = Browser(self.url)
        self._browsers.append(found)
        if name is not None:
            answer = found.sign_in(name, PASSWORD)
            assert answer.status_code in {200, 302}, answer.text
        return found


class Program:
    """A program with a token: no cookies, no origin."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(
        self, method: str, path: str, body: object = None, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Make one request and return the HTTP status and the envelope."""
        answer = self._session.request(
            method, self._url + path, json=body, timeout=20, allow_redirects=False, **options
        )
        found: dict[str, Any] = answer.json()
        assert set(found) >= {"code", "message", "data"}, found
        assert found["code"] == answer.status_code, (found, answer.status_code)
        return answer.status_code, found

    def data(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        """Make one request that is done; return its data."""
        status, found = self.call(method, path, body, **options)
        assert status == 200, found
        return found["data"]


class Browser:
    """What a browser does of itself: keeps cookies, sends the origin, fills in the form's token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Open a page; redirects are not followed."""
        arguments = {"timeout": 20, "allow_redirects": False, **arguments}
        return self.session.get(self.url + path, **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        """Send JSON or a form as our own pages do."""
        headers = {"Origin": self.url, **arguments.pop("headers", {})}
        arguments = {"timeout": 20, "allow_redirects": False, **arguments}
        return self.session.post(self.url + path, headers=headers, **arguments)

    def submit(self, page: str, action: str, **fields: str) -> requests.Response:
        """Open a page and send a form of it."""
        found = TOKEN.search(self.get(page).text)
        assert found, f"{page} has no form with a token"
        return self.post(action, data={"csrf_token": found[1], **fields})

    def sign_in(self, name: str, password: str) -> requests.Response:
        """Sign in with the page's form."""
        return self.submit("/sign-in", "/sign-in", name=name, password=password)
