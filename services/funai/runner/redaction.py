"""Takes the runner's own secrets out of text that is kept or shown."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funai.runner.build_settings import BuildSettings

#: Lines of a secret that are long enough to stand for nothing else.
MIN_LINE_CHARS = 8
#: By as many characters in a row, somewhere in it, a secret is known that was cut off.
ANCHOR_CHARS = 16
#: Shorter ones are no secrets, and replacing them would make the text unreadable.
MIN_SECRET_CHARS = 4
REPLACEMENT = "***"


class Redactor:
    """Replaces known secrets by ``***``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Replace these as well from now on."""
        found = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS}
        # The longest first: one may be part of another.
        self._secrets = sorted({*self._secrets, *found}, key=lambda secret: (-len(secret), secret))

    def clean(self, text: str) -> str:
        """Return the text without them."""
        for secret in self._secrets:
            text = _without_fragments(text.replace(secret, REPLACEMENT), secret)
        return text

    def clean_value(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON can say
        """Return a value of JSON with all its texts cleaned."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list | tuple):
            return [self.clean_value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.clean_value(item) for key, item in value.items()}
        return value


def parts_of(secret: str) -> list[str]:
    """Return a secret of any form as what prints it shows: whole, quoted, and by line."""
    if len(secret) < MIN_SECRET_CHARS:
        return []
    lines = [line.strip() for line in secret.splitlines()]
    lines = [line for line in lines if len(line) >= MIN_LINE_CHARS]
    return [secret, secret.strip(), json.dumps(secret)[1:-1], *lines]


def secrets_of_files(settings: BuildSettings) -> list[str]:
    """Return what must not be shown of the files that hold git's and the registry's credentials.

    A file that cannot be read gives nothing away.
    """
    return [
        *(login["password"] for login in read_git_logins(settings.git_credentials_file).values()),
        *_registry_secrets(_read_object(settings.registry_auth_file)),
        *_lines_of_key(settings.git_key_file),
    ]


def read_git_logins(path: str) -> dict[str, dict[str, str]]:
    """Return host -> ``username`` and ``password`` of a credentials file."""
    return {
        str(host).lower(): {name: str(login.get(name, "")) for name in ("username", "password")}
        for host, login in _read_object(path).items()
        if isinstance(login, dict)
    }


def _without_fragments(text: str, secret: str) -> str:
    """Replace what is left of a secret where somebody cut it, as logs cut long lines."""
    for start in range(0, len(secret) - ANCHOR_CHARS + 1, ANCHOR_CHARS):
        anchor = secret[start : start + ANCHOR_CHARS]
        while (found := text.find(anchor)) >= 0:
            before = _common(text[:found][::-1], secret[:start][::-1])
            after = _common(text[found:], secret[start:])
            text = text[: found - before] + REPLACEMENT + text[found + after :]
    return text


def _common(one: str, other: str) -> int:
    """Return how many characters two texts share at their beginnings."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _registry_secrets(config: dict[str, object]) -> list[str]:
    auths = config.get("auths")
    found: list[str] = []
    for entry in auths.values() if isinstance(auths, dict) else ():
        fields = entry if isinstance(entry, dict) else {}
        found += [str(fields[name]) for name in ("password", "identitytoken") if name in fields]
        encoded = str(fields.get("auth", ""))
        try:
            login = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            login = ""
        found += [encoded, login.partition(":")[2]]
    return found


def _lines_of_key(path: str) -> list[str]:
    try:
        lines = Path(path).read_text().splitlines() if path else []
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if line and not line.startswith("-----")]


def _read_object(path: str) -> dict[str, object]:
    try:
        found = json.loads(Path(path).read_bytes()) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
