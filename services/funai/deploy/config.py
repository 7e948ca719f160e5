"""Settings of Deploy, read once from the environment."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from funai.contract.secrets import SecretError, require_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

RunnerAuth = Literal["token", "basic", "address"]
_RUNNER_AUTH = ("token", "basic", "address")
#: What a key seals can be attacked without asking anybody, unlike what a token opens.
_MIN_KEY = 32


class ConfigError(Exception):
    """A setting is missing or malformed; the text names it."""


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the database is, and as whom to speak to it."""

    host: str
    name: str
    user: str
    password: str = field(repr=False)
    port: int = 3306

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> DatabaseSettings:
        """Read ``DEPLOY_DB_*``.

        :raises ConfigError: naming the variable
        """
        return cls(
            host=_required(env, "DEPLOY_DB_HOST"),
            port=_number(env, "DEPLOY_DB_PORT", cls.port, 1, 65535),
            name=_required(env, "DEPLOY_DB_NAME"),
            user=_required(env, "DEPLOY_DB_USER"),
            password=_secret(env, "DEPLOY_DB_PASSWORD"),
        )


@dataclass(frozen=True)
class Secrets:
    """What callers show to Deploy, and what Deploy shows to agents."""

    deploy: str = field(repr=False)
    admin: str = field(repr=False)
    node: str = field(repr=False)
    runner: str = field(repr=False)
    gateway: str = field(repr=False)
    runtime: str = field(repr=False)
    #: What the keys of apps' settings are made of, newest first.
    settings_keys: tuple[str, ...] = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Secrets:
        """Read the six secrets and the keys of settings.

        :raises ConfigError: naming the variable
        """
        return cls(
            deploy=_secret(env, "DEPLOY_SECRET"),
            admin=_secret(env, "DEPLOY_ADMIN_TOKEN"),
            node=_secret(env, "DEPLOY_NODE_TOKEN"),
            runner=_secret(env, "DEPLOY_RUNNER_TOKEN"),
            gateway=_secret(env, "DEPLOY_GATEWAY_TOKEN"),
            runtime=_secret(env, "DEPLOY_RUNTIME_TOKEN"),
            settings_keys=settings_keys(env),
        )


@dataclass(frozen=True)
class RunnerAccess:
    """Who may claim jobs beside those that show the runner token."""

    mode: RunnerAuth = "token"
    basic_user: str = ""
    basic_password: str = field(default="", repr=False)
    addresses: frozenset[str] = frozenset()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> RunnerAccess:
        """Read ``DEPLOY_RUNNER_AUTH`` and what its mode needs.

        :raises ConfigError: naming the variable
        """
        mode = env.get("DEPLOY_RUNNER_AUTH") or "token"
        if mode not in _RUNNER_AUTH:
            msg = f"DEPLOY_RUNNER_AUTH is {mode!r}; it must be token, basic or address"
            raise ConfigError(msg)
        if mode == "basic":
            return cls(
                mode="basic",
                basic_user=_required(env, "DEPLOY_RUNNER_BASIC_USER"),
                basic_password=_secret(env, "DEPLOY_RUNNER_BASIC_PASSWORD"),
            )
        if mode == "address":
            return cls(mode="address", addresses=_addresses(env))
        return cls(mode=cast("RunnerAuth", mode))


@dataclass(frozen=True)
class Limits:
    """Numbers that bound what grows and what waits; all times in seconds."""

    #: A node without a heartbeat for longer is STALE. The existing agent beats every 60 s.
    node_stale: int = 180
    #: Claims of one job before it is FAILED.
    max_attempts: int = 3
    #: Jobs of an app in a row that end without a word of their runner before the app is paused.
    pause_after: int = 3
    #: From a job's first claim to its end.
    max_running: int = 3600
    #: Between two rounds of the reaper.
    reaper: float = 1.0
    #: Threads that serve requests.
    threads: int = 32

    @property
    def waiting_claims(self) -> int:
        """How many claims may wait at once; the other threads stay free for everything else."""
        return max(1, self.threads // 2)

    @property
    def waiting_gateways(self) -> int:
        """How many readers of the route table may wait at once."""
        return max(1, self.threads // 8)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Limits:
        """Read the limits.

        :raises ConfigError: naming the variable
        """
        return cls(
            node_stale=_number(env, "DEPLOY_NODE_STALE_SECONDS", cls.node_stale, 1, 86400),
            max_attempts=_number(env, "DEPLOY_MAX_ATTEMPTS", cls.max_attempts, 1, 100),
            pause_after=_number(env, "DEPLOY_PAUSE_AFTER_CRASHES", cls.pause_after, 1, 100),
            max_running=_number(env, "DEPLOY_MAX_RUNNING_SECONDS", cls.max_running, 1, 86400),
            reaper=_seconds(env, "DEPLOY_REAPER_SECONDS", cls.reaper),
            threads=_number(env, "DEPLOY_THREADS", cls.threads, 4, 256),
        )


@dataclass(frozen=True)
class LogSettings:
    """Bounds of the logs of jobs."""

    #: Bytes kept of one job's log: its beginning and its end.
    max_bytes: int = 8 * 1024 * 1024
    #: How many may read logs that go on at once; each holds a thread.
    followers: int = 8

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> LogSettings:
        """Read ``DEPLOY_LOG_*``.

        :raises ConfigError: naming the variable
        """
        return cls(
            max_bytes=_number(env, "DEPLOY_LOG_BYTES", cls.max_bytes, 65_536, 2**30),
            followers=_number(env, "DEPLOY_LOG_FOLLOWERS", cls.followers, 1, 128),
        )


@dataclass(frozen=True)
class RetentionSettings:
    """What stays of built images, and where they may be removed."""

    #: Revisions of an app that stay deployable, the running one included.
    kept_revisions: int = 3
    #: Accounts that may delete, by registry; None: nothing is removed from registries.
    registries_file: Path | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> RetentionSettings:
        """Read ``DEPLOY_KEPT_REVISIONS`` and ``DEPLOY_REGISTRIES_FILE``.

        :raises ConfigError: naming the variable
        """
        path = env.get("DEPLOY_REGISTRIES_FILE", "").strip()
        return cls(
            kept_revisions=_number(env, "DEPLOY_KEPT_REVISIONS", cls.kept_revisions, 1, 100),
            registries_file=Path(path) if path else None,
        )


@dataclass(frozen=True)
class WebhookSettings:
    """Where notices go, and how long that is tried."""

    #: What an operator declared; None: nobody is told of anything.
    file: Path | None = None
    #: Tries of one delivery. With pauses of 15 s, 60 s, 240 s and so on the last is after a day.
    attempts: int = 8
    #: Pause after the first try that failed; each further one is four times as long.
    backoff: float = 15.0
    #: For a connection, and again for the answer.
    timeout: float = 5.0
    #: Deliveries that are kept, whatever their state, and for how long.
    kept_rows: int = 10_000
    kept_days: int = 14

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> WebhookSettings:
        """Read ``DEPLOY_WEBHOOKS_FILE`` and ``DEPLOY_WEBHOOK_*``.

        :raises ConfigError: naming the variable
        """
        path = env.get("DEPLOY_WEBHOOKS_FILE", "").strip()
        return cls(
            file=Path(path) if path else None,
            attempts=_number(env, "DEPLOY_WEBHOOK_ATTEMPTS", cls.attempts, 1, 20),
            backoff=_seconds(env, "DEPLOY_WEBHOOK_BACKOFF_SECONDS", cls.backoff),
            timeout=_seconds(env, "DEPLOY_WEBHOOK_TIMEOUT_SECONDS", cls.timeout),
            kept_rows=_number(env, "DEPLOY_WEBHOOK_KEPT_ROWS", cls.kept_rows, 100, 1_000_000),
            kept_days=_number(env, "DEPLOY_WEBHOOK_KEPT_DAYS", cls.kept_days, 2, 365),
        )


@dataclass(frozen=True)
class Settings:
    """Everything Deploy can be told from outside.

    Source: ``/etc/funai-deploy/deploy.env``, written by ``roles/deploy``.
    """

    database: DatabaseSettings
    secrets: Secrets
    bind: str = "0.0.0.0:7002"
    runners: RunnerAccess = field(default_factory=RunnerAccess)
    limits: Limits = field(default_factory=Limits)
    logs: LogSettings = field(default_factory=LogSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    #: Base URL of the public edge, for the field ``publicUrl``; empty leaves the field null.
    public_base_url: str = ""
    #: Whether a node without a token of its own may show the shared one.
    shared_node_token: bool = True

    @property
    def log_followers(self) -> int:
        """How many may follow logs at once: no setting of theirs takes the others' threads."""
        return max(1, min(self.logs.followers, self.limits.threads // 4))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from ``DEPLOY_*`` variables; an empty variable counts as unset.

        :raises ConfigError: naming the variable and what it must be
        """
        return cls(
            bind=env.get("DEPLOY_BIND") or cls.bind,
            database=DatabaseSettings.from_env(env),
            secrets=Secrets.from_env(env),
            runners=RunnerAccess.from_env(env),
            limits=Limits.from_env(env),
            logs=LogSettings.from_env(env),
            retention=RetentionSettings.from_env(env),
            webhooks=WebhookSettings.from_env(env),
            public_base_url=_base_url(env, "DEPLOY_PUBLIC_BASE_URL"),
            shared_node_token=_is_allowed(env, "DEPLOY_SHARED_NODE_TOKEN"),
        )


def settings_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    """Read ``DEPLOY_SETTINGS_KEYS``.

    :raises ConfigError: naming the variable, never a key
    """
    name = "DEPLOY_SETTINGS_KEYS"
    keys = tuple(key.strip() for key in env.get(name, "").split(",") if key.strip())
    for key in keys or ("",):
        _secret({name: key}, name)
        if len(key) < _MIN_KEY:
            msg = f"{name} holds a key of {len(key)} characters; each must have at least {_MIN_KEY}"
            raise ConfigError(msg)
    return keys


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        msg = f"{name} is not set"
        raise ConfigError(msg)
    return value


def _secret(env: Mapping[str, str], name: str) -> str:
    try:
        return require_secret(name, env.get(name))
    except SecretError as exc:
        raise ConfigError(str(exc)) from exc


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        msg = f"{name} is {text!r}; it must be a whole number from {low} to {high}"
        raise ConfigError(msg)
    return int(text)


def _is_allowed(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name) or "allow"
    if value not in {"allow", "forbid"}:
        msg = f"{name} is {value!r}; it must be allow or forbid"
        raise ConfigError(msg)
    return value == "allow"


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.05 <= value <= 60:  # noqa: PLR2004 - a range of seconds that makes sense
        msg = f"{name} is {text!r}; it must be a number of seconds from 0.05 to 60"
        raise ConfigError(msg)
    return value


def _addresses(env: Mapping[str, str]) -> frozenset[str]:
    text = _required(env, "DEPLOY_RUNNER_ADDRESSES")
    try:
        return frozenset(str(ipaddress.ip_address(part.strip())) for part in text.split(","))
    except ValueError as exc:
        msg = f"DEPLOY_RUNNER_ADDRESSES must be addresses separated by commas: {exc}"
        raise ConfigError(msg) from exc


def _base_url(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip().rstrip("/")
    if value:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"{name} is {value!r}; it must be an address such as https://apps.example"
            raise ConfigError(msg)
    return value
