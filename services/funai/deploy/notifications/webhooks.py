"""The file in which an operator declares webhooks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from funai.contract.secrets import SecretError, require_secret
from funai.deploy.config import ConfigError
from funai.deploy.notifications.model import SUBSCRIBABLE, Notice, Webhook

if TYPE_CHECKING:
    from pathlib import Path

#: Each has a thread of its own.
MAX_WEBHOOKS = 16
MAX_URL = 2048
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def read_webhooks(path: Path | None) -> dict[str, Webhook]:
    """Return the webhooks of a file ``[{"name", "url", "secret", "events"?}]``, by name.

    A webhook without ``events`` is told everything. No text of an error holds a URL or a secret.

    :raises ConfigError: naming the file, the webhook and the rule
    """
    if path is None or not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        msg = f"{path} cannot be read as JSON: {type(exc).__name__}"
        raise ConfigError(msg) from exc
    if not isinstance(entries, list) or len(entries) > MAX_WEBHOOKS:
        msg = f"{path} must hold a list of at most {MAX_WEBHOOKS} webhooks"
        raise ConfigError(msg)
    found: dict[str, Webhook] = {}
    for number, entry in enumerate(entries, start=1):
        webhook = _webhook(f"{path}: webhook {number}", entry)
        if webhook.name in found:
            msg = f"{path} has two webhooks named {webhook.name}"
            raise ConfigError(msg)
        found[webhook.name] = webhook
    return found


def _webhook(where: str, entry: object) -> Webhook:
    if not isinstance(entry, dict):
        _refuse(where, "must be an object with name, url and secret")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _refuse(where, "must have a name of 1 to 63 of a-z, 0-9 and -")
    where = f"{where} ({name})"
    url = entry.get("url")
    if not isinstance(url, str) or not _is_usable(url):
        _refuse(
            where,
            f"must have a url such as https://host/path: http or https, at most {MAX_URL} printable ASCII"
            " characters, without user name, password and fragment",
        )
    return Webhook(name, url, _secret(where, entry), _notices(where, entry))


def _is_usable(url: str) -> bool:
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # Refuses labels that are empty or too long, at which a look-up of the name would raise.
        host.encode("idna")
        return (
            parts.scheme in {"http", "https"}
            and bool(host)
            and parts.port != 0
            and "@" not in parts.netloc
            and "#" not in url
        )
    except ValueError:
        return False


def _secret(where: str, entry: dict[str, Any]) -> str:
    secret = entry.get("secret")
    try:
        return require_secret("secret", secret if isinstance(secret, str) else None)
    except SecretError as exc:
        msg = f"{where}: {exc}"
        raise ConfigError(msg) from exc


def _notices(where: str, entry: dict[str, Any]) -> frozenset[Notice]:
    events = entry.get("events")
    if events is None or events == []:
        return SUBSCRIBABLE
    words = events if isinstance(events, list) else [events]
    if words is not events or not all(isinstance(e, str) and e in SUBSCRIBABLE for e in words):
        _refuse(where, f"must have events of {', '.join(sorted(SUBSCRIBABLE))}, or none for all")
    return frozenset(Notice(event) for event in words)


def _refuse(where: str, rule: str) -> NoReturn:
    msg = f"{where} {rule}"
    raise ConfigError(msg)
