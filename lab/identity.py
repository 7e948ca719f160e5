"""Keys and secrets of the lab: made once, kept in .lab, readable by their owner only."""

from __future__ import annotations

import secrets

from lab import layout
from lab.certificates import ensure_authority
from lab.process import run

SSH_KEY = layout.STATE / "ssh" / "id_ed25519"
#: With it runners fetch from the lab's git; it opens nothing else.
GIT_KEY = layout.STATE / "ssh" / "git_ed25519"
KNOWN_HOSTS = layout.STATE / "ssh" / "known_hosts"
SECRET_NAMES = (
    "admin_token",
    "api_encryption_keys",
    "api_session_key",
    "db_api_migrate_password",
    "db_api_password",
    "db_migrate_password",
    "db_observer_password",
    "db_password",
    "deploy_secret",
    "deploy_settings_keys",
    "first_operator_password",
    "gateway_token",
    "node_token",
    "preview_token",
    "registry_pull_password",
    "registry_push_password",
    "runner_token",
    "runtime_token",
)
_SECRET_BYTES = 24


def ensure() -> None:
    """Make what is missing; what exists stays, because hosts were converged with it."""
    layout.private_directory(layout.STATE)
    layout.private_directory(layout.LOGS)
    layout.private_directory(SSH_KEY.parent)
    for key, comment in ((SSH_KEY, "funai-lab"), (GIT_KEY, "funai-lab-runner")):
        if not key.exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment]
            run([*argv, "-f", str(key)])
    for name in SECRET_NAMES:
        path = layout.SECRETS / name
        if not path.exists():
            layout.write_private(path, secrets.token_hex(_SECRET_BYTES).encode())
    ensure_authority()


def secret(name: str) -> str:
    """Return a secret of the lab by its name."""
    return (layout.SECRETS / name).read_text().strip()


def public_key() -> bytes:
    """Return the public half of the lab's SSH key."""
    return SSH_KEY.with_suffix(".pub").read_bytes()


def remember_host_keys(keys: dict[str, str]) -> None:
    """Write ``known_hosts`` from host keys by address."""
    lines = [f"{address} {key}\n" for address, key in sorted(keys.items())]
    layout.write_private(KNOWN_HOSTS, "".join(lines).encode())
