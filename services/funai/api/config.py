"""Settings of the API entry, read once from the environment."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, MultiFernet

from funai.contract.secrets import MIN_LENGTH, SecretError, require_secret
from funai.deploy.config import ConfigError, DatabaseSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class DeploySettings:
    """Where Deploy is, and what to show it."""

    url: str
    secret: str = field(repr=False)
    admin_token: str = field(repr=False)


@dataclass(frozen=True)
class Keys:
    """What signs and encrypts."""

    #: Signs the cookie of a session and its CSRF tokens.
    session: str = field(repr=False)
    #: Encrypts what is kept and must be read again; the newest first.
    encryption: MultiFernet = field(repr=False)
    #: What the preview gateway shows.
    preview: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything the API entry can be told from outside.

    Source: ``/etc/funai-api/api.env``, written by ``roles/api_entry``.
    """

    database: DatabaseSettings
    deploy: DeploySettings
    keys: Keys
    bind: tuple[str, ...] = ("127.0.0.1:7003",)
    #: Base URL of the public edge, where apps and previews are; empty: links go to nodes' gateways.
    public_url: str = ""
    #: Base URL of the console, for links in answers to programs.
    console_url: str = ""
    #: Folder of the built documentation; None: ``/docs/`` says that there is none.
    docs_dir: Path | None = None
    #: A page of the team's own, served as ``/admin/nodes-admin.html``; None: ours.
    admin_page: Path | None = None
    threads: int = 24

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read ``API_*``; an empty variable counts as unset.

        :raises ConfigError: naming the variable and what it must be
        """
        read = _Reader(env)
        docs, page = read.text("API_DOCS_DIR"), read.text("API_ADMIN_PAGE")
        return cls(
            database=read_database(env),
            deploy=DeploySettings(
                url=read.base_url("API_DEPLOY_URL", required=True),
                secret=read.secret("API_DEPLOY_SECRET"),
                admin_token=read.secret("API_ADMIN_TOKEN"),
            ),
            keys=Keys(
                session=read.secret("API_SESSION_KEY"),
                encryption=read.fernet("API_ENCRYPTION_KEYS"),
                preview=read.secret("API_PREVIEW_TOKEN"),
            ),
            bind=tuple((read.text("API_BIND") or "127.0.0.1:7003").split(",")),
            public_url=read.base_url("API_PUBLIC_URL"),
            console_url=read.base_url("API_CONSOLE_URL"),
            docs_dir=Path(docs) if docs else None,
            admin_page=Path(page) if page else None,
            threads=read.number("API_THREADS", cls.threads, 4, 256),
        )


def read_database(env: Mapping[str, str]) -> DatabaseSettings:
    """Read ``API_DB_*``.

    :raises ConfigError: naming the variable
    """
    read = _Reader(env)
    return DatabaseSettings(
        host=read.required("API_DB_HOST"),
        port=read.number("API_DB_PORT", 3306, 1, 65535),
        name=read.required("API_DB_NAME"),
        user=read.required("API_DB_USER"),
        password=read.secret("API_DB_PASSWORD"),
    )


class _Reader:
    """Reads variables and says of a wrong one what it must be."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str) -> str:
        return self._env.get(name, "").strip()

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            msg = f"{name} is not set"
            raise ConfigError(msg)
        return value

    def secret(self, name: str) -> str:
        try:
            return require_secret(name, self._env.get(name))
        except SecretError as exc:
            raise ConfigError(str(exc)) from exc

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name) or str(default)
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            msg = f"{name} is {text!r}; it must be a whole number from {low} to {high}"
            raise ConfigError(msg)
        return int(text)

    def base_url(self, name: str, *, required: bool = False) -> str:
        value = (self.required(name) if required else self.text(name)).rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            msg = f"{name} is {value!r}; it must be an address such as https://apps.example"
            raise ConfigError(msg)
        return value

    def fernet(self, name: str) -> MultiFernet:
        """Return what encrypts with the first of the keys, and reads what any of them encrypted."""
        self.secret(name)
        keys = [part.strip() for part in self.text(name).split(",")]
        if any(len(key) < MIN_LENGTH for key in keys):
            msg = (
                f"{name} has a key of less than {MIN_LENGTH} characters; see `openssl rand -hex 32`"
            )
            raise ConfigError(msg)
        digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
