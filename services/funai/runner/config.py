"""Settings of the runner, read once from the environment."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from funai.contract.ids import FieldError
from funai.contract.secrets import SecretError, require_secret
from funai.contract.source_rules import namespace as namespace_rule
from funai.contract.source_rules import registry as registry_rule
from funai.runner.build_settings import BuildSettings
from funai.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Characters of the state directory's path. The path of a job's file is the one value that goes
#: through ``-e``, which Ansible treats as a trusted template.
SAFE_PATH = re.compile(r"/[A-Za-z0-9._/+-]*")
#: A claim that waits longer than this part of the lease could come back with the lease used up.
MAX_WAIT_PART_OF_LEASE = 2 / 3

Execution = Literal["forked", "cold"]


@dataclass(frozen=True)
class Settings:
    """Everything the runner can be told from outside.

    Source: ``/etc/funai-runner/runner.env``, written by ``roles/runner``.
    """

    runner_id: str
    deploy_url: str
    token: str
    runtime_token: str
    parallel_jobs: int = 2
    lease_seconds: int = 30
    #: Longest time that one claim waits at Deploy for a job.
    wait_seconds: int = 20
    state_dir: Path = Path("/var/lib/funai-runner")
    bundle_dir: Path = Path("/opt/funai-runner/bundle")
    execution: Execution = "forked"
    #: Deadline of the step that calls the runtime-agent, pull of the image included.
    deploy_timeout_seconds: int = 120
    #: How long the agent waits for a started container to answer.
    ready_seconds: int = 25
    #: Deadline of the step that asks the app through the node's gateway.
    verify_timeout_seconds: int = 15
    #: Deadlines of the steps that fetch the source, build the image and push it.
    fetch_timeout_seconds: int = 300
    build_timeout_seconds: int = 900
    push_timeout_seconds: int = 300
    build: BuildSettings = field(default_factory=BuildSettings)
    #: How long running jobs may go on after SIGTERM.
    stop_seconds: int = 25
    #: Logs of ended jobs that stay on disk, and the size of each.
    kept_logs: int = 50
    log_bytes: int = 1024 * 1024

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, hostname: str) -> Settings:
        """Read the settings from ``RUNNER_*`` variables; an empty variable counts as unset.

        :param hostname: the runner's id where ``RUNNER_ID`` is not set
        :raises ConfigError: naming the variable and what it must be
        """
        lease = _number(env, "RUNNER_LEASE_SECONDS", cls.lease_seconds, 3, 600)
        wait = _number(env, "RUNNER_WAIT_SECONDS", cls.wait_seconds, 0, 30)
        return cls(
            runner_id=_runner_id(env.get("RUNNER_ID") or hostname),
            deploy_url=_url(env, "RUNNER_DEPLOY_URL"),
            token=_secret(env, "RUNNER_TOKEN"),
            runtime_token=_secret(env, "RUNNER_RUNTIME_TOKEN"),
            parallel_jobs=_number(env, "RUNNER_PARALLEL_JOBS", cls.parallel_jobs, 1, 64),
            lease_seconds=lease,
            wait_seconds=min(wait, int(lease * MAX_WAIT_PART_OF_LEASE)),
            state_dir=_path(env, "RUNNER_STATE_DIR", cls.state_dir),
            bundle_dir=_path(env, "RUNNER_BUNDLE_DIR", cls.bundle_dir),
            execution=_execution(env.get("RUNNER_EXECUTION") or "forked"),
            deploy_timeout_seconds=_number(
                env, "RUNNER_DEPLOY_TIMEOUT_SECONDS", cls.deploy_timeout_seconds, 1, 3600
            ),
            ready_seconds=_number(env, "RUNNER_READY_SECONDS", cls.ready_seconds, 1, 600),
            verify_timeout_seconds=_number(
                env, "RUNNER_VERIFY_TIMEOUT_SECONDS", cls.verify_timeout_seconds, 1, 600
            ),
            fetch_timeout_seconds=_number(
                env, "RUNNER_FETCH_TIMEOUT_SECONDS", cls.fetch_timeout_seconds, 1, 3600
            ),
            build_timeout_seconds=_number(
                env, "RUNNER_BUILD_TIMEOUT_SECONDS", cls.build_timeout_seconds, 1, 7200
            ),
            push_timeout_seconds=_number(
                env, "RUNNER_PUSH_TIMEOUT_SECONDS", cls.push_timeout_seconds, 1, 3600
            ),
            build=_build(env),
            stop_seconds=_number(env, "RUNNER_STOP_SECONDS", cls.stop_seconds, 0, 3600),
            kept_logs=_number(env, "RUNNER_KEPT_LOGS", cls.kept_logs, 0, 10_000),
            log_bytes=_number(env, "RUNNER_LOG_BYTES", cls.log_bytes, 4096, 64 * 1024 * 1024),
        )


def _build(env: Mapping[str, str]) -> BuildSettings:
    usual = BuildSettings()
    return BuildSettings(
        registry=_image_part(env, "RUNNER_REGISTRY", "", registry_rule),
        namespace=_image_part(env, "RUNNER_NAMESPACE", usual.namespace, namespace_rule),
        registry_auth_file=_file(env, "RUNNER_REGISTRY_AUTH_FILE"),
        registry_tls_verify=_flag(env, "RUNNER_REGISTRY_TLS_VERIFY", default=True),
        git_key_file=_file(env, "RUNNER_GIT_KEY_FILE"),
        git_known_hosts_file=_file(env, "RUNNER_GIT_KNOWN_HOSTS_FILE"),
        git_credentials_file=_file(env, "RUNNER_GIT_CREDENTIALS_FILE"),
        git_allowed_hosts=_hosts(env, "RUNNER_GIT_ALLOWED_HOSTS"),
        git_allow_http=_flag(env, "RUNNER_GIT_ALLOW_HTTP", default=False),
        archive_allowed_hosts=_hosts(env, "RUNNER_ARCHIVE_ALLOWED_HOSTS"),
        fetch_denied_addresses=_networks(env, "RUNNER_FETCH_DENIED_ADDRESSES"),
        builder_socket=_file(env, "RUNNER_BUILDER_SOCKET") or usual.builder_socket,
        mirror_prefix=_image_part(env, "RUNNER_MIRROR_PREFIX", "", namespace_rule),
        ca_file=_file(env, "RUNNER_CA_FILE"),
        source_max_mib=_number(env, "RUNNER_SOURCE_MAX_MIB", usual.source_max_mib, 1, 65536),
        context_max_mib=_number(env, "RUNNER_CONTEXT_MAX_MIB", usual.context_max_mib, 1, 65536),
        build_disk_mib=_number(env, "RUNNER_BUILD_DISK_MIB", usual.build_disk_mib, 64, 1048576),
    )


def _image_part(
    env: Mapping[str, str], name: str, default: str, rule: Callable[[str, object], str]
) -> str:
    value = env.get(name) or default
    try:
        return rule(name, value) if value else ""
    except FieldError as exc:
        raise ConfigError(str(exc)) from exc


def _file(env: Mapping[str, str], name: str) -> str:
    return str(_path(env, name, Path())) if env.get(name) else ""


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = (env.get(name) or str(default)).lower()
    if value not in {"true", "false"}:
        msg = f"{name} is {value!r}; it must be true or false"
        raise ConfigError(msg)
    return value == "true"


def _hosts(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    hosts = [part.strip().lower() for part in env.get(name, "").split(",")]
    for host in filter(None, hosts):
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", host):
            msg = f"{name} has {host!r}; it must be a list of host names with commas between"
            raise ConfigError(msg)
    return tuple(filter(None, hosts))


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = []
    for text in filter(None, (part.strip() for part in env.get(name, "").split(","))):
        try:
            found.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError as exc:
            msg = f"{name} has {text!r}; it must be a list of IP addresses and networks with commas between"
            raise ConfigError(msg) from exc
    return tuple(found)


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        msg = f"{name} is {text!r}; it must be a whole number from {low} to {high}"
        raise ConfigError(msg)
    return int(text)


def _secret(env: Mapping[str, str], name: str) -> str:
    try:
        return require_secret(name, env.get(name))
    except SecretError as exc:
        raise ConfigError(str(exc)) from exc


def _url(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        msg = f"{name} must be an address like http://deploy:7002"
        raise ConfigError(msg)
    return value


def _path(env: Mapping[str, str], name: str, default: Path) -> Path:
    value = env.get(name) or str(default)
    if not SAFE_PATH.fullmatch(value):
        msg = f"{name} is {value!r}; it must be an absolute path of letters, digits and . _ + -"
        raise ConfigError(msg)
    return Path(value)


def _runner_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", value):
        msg = f"RUNNER_ID is {value!r}; it must be 1 to 128 letters, digits and . _ -"
        raise ConfigError(msg)
    return value


def _execution(value: str) -> Execution:
    if value == "forked":
        return "forked"
    if value == "cold":
        return "cold"
    msg = f"RUNNER_EXECUTION is {value!r}; it must be forked or cold"
    raise ConfigError(msg)
