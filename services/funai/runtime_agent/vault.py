"""Keeps apps' settings on the node's disk, sealed by a key beside the state file.

The key is the node's own and made at its first use. A copy of the state file alone, as support or a
backup may have one, shows no secret (docs/decisions/0070-settings-of-an-app.md).
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import logging
import os
import threading
from typing import TYPE_CHECKING

from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.errors import DiskFullError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.fernet import Fernet

_LOG = logging.getLogger(__name__)
_MARK_CHARS = 32
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Vault:
    """Seals and opens settings.

    :param path: the key's file
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: tuple[bytes, Fernet] | None = None

    def mark(self, settings: AppSettings) -> str:
        """Return a word that stands for these settings and tells nothing of them.

        It is empty for those of an app that is given nothing, which need no key.
        """
        if settings.is_default:
            return ""
        key, _ = self._key()
        return hmac.new(key, settings.pack(), hashlib.sha256).hexdigest()[:_MARK_CHARS]

    def seal(self, settings: AppSettings) -> bytes:
        """Return what may be kept of the settings; nothing for those of an app without any."""
        if settings.is_default:
            return b""
        _, fernet = self._key()
        return fernet.encrypt(settings.pack())

    def open(self, sealed: bytes) -> AppSettings | None:
        """Return the settings; None where the key is not the one that sealed them."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - see _load

        _, fernet = self._key()
        try:
            return AppSettings.unpack(fernet.decrypt(sealed))
        except (InvalidToken, ValueError, TypeError):
            _LOG.exception("settings on disk cannot be opened with %s", self._path)
            return None

    def _key(self) -> tuple[bytes, Fernet]:
        with self._lock:
            if self._known is None:
                self._known = self._load()
            return self._known

    def _load(self) -> tuple[bytes, Fernet]:
        # A node whose apps have no settings needs neither the key nor the memory for this.
        from cryptography.fernet import Fernet  # noqa: PLC0415 - see above

        try:
            key = self._path.read_bytes()
            return key, Fernet(key)
        except FileNotFoundError:
            pass
        except ValueError:
            _LOG.exception("%s is damaged; what was sealed by it is lost", self._path)
        key = Fernet.generate_key()
        self._write(key)
        return key, Fernet(key)

    def _write(self, key: bytes) -> None:
        """Write the key, whole or not at all, also across a power cut."""
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as exc:
            if exc.errno in _FULL:
                msg = f"the key of apps' settings cannot be written to {self._path}: no room"
                raise DiskFullError(msg) from exc
            raise
